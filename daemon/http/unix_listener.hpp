#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// A listening Unix stream socket and its path, which is removed on destruction.
///
/// Threads: one at a time.
class unix_listener {
public:
    /// Listens at \p path. The socket is created under another name, given its mode and group, and renamed, so that no
    /// client finds a socket that is not listening yet or does not have its mode yet.
    ///
    /// A socket without a listener at \p path is replaced; a live one or any other file is an error. If two programs
    /// start at the same moment, both may find the path free; the last one gets it.
    [[nodiscard]] static result<unix_listener> open(std::string const& path, unsigned mode,
                                                    std::optional<std::string> const& group);

    unix_listener(unix_listener&& other) noexcept;
    unix_listener& operator=(unix_listener&& other) = delete;
    unix_listener(unix_listener const&) = delete;
    unix_listener& operator=(unix_listener const&) = delete;
    /// Unlinks the path if it still is this socket.
    ~unix_listener();

    /// The listening descriptor. Must be called once.
    [[nodiscard]] unique_fd take_descriptor() { return std::move(m_fd); }

private:
    unix_listener(unique_fd fd, std::string path, dev_t device, ino_t inode);

    unique_fd m_fd;
    std::string m_path; ///< empty if there is nothing to unlink
    dev_t m_device;
    ino_t m_inode;
};

} // namespace seedbed
