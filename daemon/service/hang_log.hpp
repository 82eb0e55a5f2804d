#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace seedbed {

/// A device that completes nothing for this long counts as hung. A disk that retries a bad sector takes 7 to 30 s.
inline constexpr std::chrono::seconds device_patience{30};

/// Logs one line when a device hangs, and one when it responds again.
///
/// Threads: confined to one.
class hang_log {
public:
    using clock = std::chrono::steady_clock;

    /// The device of an image.
    struct device {
        std::string image; ///< its name, unique
        std::string path;
        clock::time_point stalled_since; ///< see worker_pool::progress
    };

    /// Must be called about every second. \param devices all open devices. A hung device that is no longer among them
    /// was closed, and needs no line.
    void look(std::vector<device> const& devices, clock::time_point now, clock::duration patience = device_patience);

    /// Whether the device of \p image was hung at the last look.
    [[nodiscard]] bool hangs(std::string const& image) const { return m_hanging.contains(image); }
    /// Whether any device was hung at the last look.
    [[nodiscard]] bool any() const noexcept { return !m_hanging.empty(); }

private:
    std::map<std::string, clock::time_point> m_hanging; ///< by image: since when its device has been hung
};

} // namespace seedbed
