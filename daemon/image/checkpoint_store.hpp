#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "core/foundation/error.hpp"
#include "daemon/image/checkpoint.hpp"

namespace seedbed {

/// Keeps checkpoints in a folder, one file per device. A file is always complete: a new one is written under another
/// name and flushed, then it replaces the old one. After a power failure either the old or the new checkpoint exists.
///
/// Threads: every member may be called from any thread. All except the constructor and set_folder() block.
class checkpoint_store {
public:
    /// \param warn called with one line when the folder cannot be written to, once per folder.
    checkpoint_store(std::string folder, std::function<void(std::string const&)> warn);

    /// Uses another folder from now on. The files in the old one remain there.
    void set_folder(std::string folder);

    void save(checkpoint const& what);
    /// The device's checkpoint; nothing if there is none; an error if its file is damaged.
    [[nodiscard]] result<std::optional<checkpoint>> load(std::string const& device) const;
    void remove(std::string const& device);

    /// The file of a device's checkpoint.
    [[nodiscard]] std::string file_of(std::string const& device) const;

private:
    void warn_once(std::string const& reason);

    mutable std::mutex m_mutex; ///< guards the next two members
    std::string m_folder;
    bool m_warned = false;
    std::mutex m_write_mutex; ///< one file is written at a time
    std::function<void(std::string const&)> const m_warn;
};

/// The state folder: \p configured, or the one that the service manager provides (STATE_DIRECTORY), or
/// /var/lib/seedbed.
[[nodiscard]] std::string state_folder(std::string const& configured);

} // namespace seedbed
