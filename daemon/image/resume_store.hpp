#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device_identity.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// Which pieces of an image are durably on its device: what a later start goes on from.
struct checkpoint {
    std::string info_hash;    ///< 40 hex digits
    std::string device;       ///< the path
    device_identity identity; ///< of the device when the checkpoint was made
    std::vector<bool> pieces; ///< those that are there
    bool verified = false;    ///< all of them, and they were read back and are what the torrent says
    /// Nothing was to be written to the device after the identity was looked at: what was written since was written by
    /// somebody else.
    bool at_rest = false;
    std::int64_t time = 0; ///< when it was made, in seconds since 1970

    [[nodiscard]] bool complete() const;
    friend bool operator==(checkpoint const&, checkpoint const&) = default;
};

/// Makes what was written to a device durable, and then the note of \p pieces: \p flush is called first, and where it
/// fails, \p save is not. \p pieces must have been taken before: what came later is not covered by the flush.
/// Blocks. \return the flush's error; one of \p save is its own business.
[[nodiscard]] result<void, io_error> flush_then_save(std::function<result<void, io_error>()> const& flush,
                                                     std::function<void()> const& save);

/// A checkpoint as text, and back. The text tells its version and holds a checksum of all else.
[[nodiscard]] std::string format_checkpoint(checkpoint const& what);
[[nodiscard]] result<checkpoint> parse_checkpoint(std::string const& text);

/// Why \p found must not be used for a deployment of this torrent to this device; nothing where it may be.
[[nodiscard]] std::optional<std::string> why_unfit(checkpoint const& found, std::string const& info_hash,
                                                   std::int32_t piece_count, std::string const& device,
                                                   device_identity const& present);

/// Keeps checkpoints, one file a device, in a folder. A file that is there is whole: it is written under another name,
/// flushed, and takes the old one's place. So after a power cut either the old checkpoint is there or the new one.
///
/// Threads: every member may be called from any thread. All but the constructor and set_folder() block.
class resume_store {
public:
    /// \param warn is called with one line where the folder can not be written, once for a folder; then nothing is
    /// kept.
    resume_store(std::string folder, std::function<void(std::string const&)> warn);

    /// Files of another folder from now on. The old folder's stay where they are.
    void set_folder(std::string folder);

    void save(checkpoint const& what);
    /// What was saved for the device; nothing where nothing was; an error where the file is damaged.
    [[nodiscard]] result<std::optional<checkpoint>> load(std::string const& device) const;
    void remove(std::string const& device);

    /// The file that belongs to a device.
    [[nodiscard]] std::string file_of(std::string const& device) const;

private:
    void warn_once(std::string const& reason);

    mutable std::mutex m_mutex; ///< guards these
    std::string m_folder;
    bool m_warned = false;
    std::mutex m_write_mutex; ///< one file is written at a time
    std::function<void(std::string const&)> const m_warn;
};

/// Where state is kept: \p configured, or else the folder that the service manager names (STATE_DIRECTORY), or
/// /var/lib/seedbed.
[[nodiscard]] std::string state_folder(std::string const& configured);

} // namespace seedbed
