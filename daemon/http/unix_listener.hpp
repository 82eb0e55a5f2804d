#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// A listening Unix stream socket and its place in the file system, which goes when this does.
///
/// Threads: one at a time.
class unix_listener {
public:
    /// Listens at \p path. The socket is made under another name and put in place with its mode and group by a rename:
    /// nobody finds one that does not listen yet, or whose mode is not set yet.
    ///
    /// What stands at \p path is replaced where it is a socket on which nobody listens any more, and refused otherwise.
    /// Two that start in the same moment can both find nobody: the last one has the path.
    [[nodiscard]] static result<unix_listener> open(std::string const& path, unsigned mode,
                                                    std::optional<std::string> const& group);

    unix_listener(unix_listener&& other) noexcept;
    unix_listener& operator=(unix_listener&& other) = delete;
    unix_listener(unix_listener const&) = delete;
    unix_listener& operator=(unix_listener const&) = delete;
    /// Unlinks the path where it still is this socket.
    ~unix_listener();

    /// The listening descriptor, to be accepted from. To be called once.
    [[nodiscard]] unique_fd take_descriptor() { return std::move(m_fd); }

private:
    unix_listener(unique_fd fd, std::string path, dev_t device, ino_t inode);

    unique_fd m_fd;
    std::string m_path; ///< empty where there is nothing to unlink
    dev_t m_device;
    ino_t m_inode;
};

} // namespace seedbed
