#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "config/settings.hpp"
#include "core/backend/served_image.hpp"
#include "core/device/device_identity.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/io_profile.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/error.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/fleet/image_catalog.hpp"
#include "daemon/fleet/target_facts.hpp"
#include "daemon/image/image_failure.hpp"
#include "daemon/image/image_services.hpp"
#include "daemon/image/resume_point.hpp"
#include "daemon/image/written_content.hpp"
#include "daemon/log/logging.hpp"

namespace seedbed {

/// The identity and version of a file when it was read; a different value means that it may have changed.
struct file_stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;    ///< bytes; -1 if the file does not exist
    std::int64_t modified = 0; ///< nanoseconds
    friend bool operator==(file_stamp const&, file_stamp const&) = default;
};
[[nodiscard]] file_stamp stamp_of(std::string const& path);

/// The torrent of an image, and its file for clients of the daemon.
struct loaded_torrent {
    image_torrent torrent;
    std::shared_ptr<served_torrent const> file; ///< null if it was not wanted
};
/// Loads a .torrent as load_any_torrent() does. Blocks.
[[nodiscard]] result<loaded_torrent> load_served_torrent(std::string const& path, torrent_limits const& limits,
                                                         bool want_file);

/// The requirements for an image's device; valid as long as both parameters exist.
[[nodiscard]] device_requirements requirements_of(image_settings const& settings, image_torrent const& torrent);
/// Checks every guard of an image's device that can be checked without opening it: check_block_device(), and that the
/// source of a packed image is its packed file.
[[nodiscard]] result<void, device_refusal> check_image_device(image_settings const& settings,
                                                              image_torrent const& torrent);

/// An image whose torrent is loaded, whose device is open, and which is registered with the backend.
struct opened_image {
    std::shared_ptr<served_image> image;
    file_stamp stamp;                                   ///< of the .torrent
    std::shared_ptr<served_torrent const> torrent_file; ///< null unless image_services::serve_torrents is set
    storage_class_decision decision;
    device_identity identity; ///< of the device when it was opened; empty if it could not be identified
    resume_point resume;
    wiped_signatures wiped;                  ///< deploy
    target_facts facts;                      ///< deploy: of the device, without warnings
    std::shared_ptr<packed_plan const> plan; ///< of a packed image that is deployed, otherwise null
};

/// Opens an image. Copied to the worker on which it runs.
struct image_opener {
    image_settings settings;
    std::int64_t max_torrent = 0;       ///< bytes of the .torrent
    std::int64_t packed_memory = 0;     ///< bytes of packed pieces to keep
    std::array<io_profile, 3> profiles; ///< indexed by storage_class
    bool use_checkpoint = false;        ///< look for a checkpoint
    image_services services;
    std::function<void()> on_closed; ///< called by a worker when the image's device has been closed

    /// Blocks. Threads: a worker of image_services::setup, where registering the pool with a ring may pin all of it.
    [[nodiscard]] result<opened_image, image_failure> open() const;

private:
    [[nodiscard]] result<std::unique_ptr<block_device>, image_failure> open_device(image_torrent const& torrent,
                                                                                   io_profile const& profile) const;
    /// Has the ends of the image written last, unless the image is a disk with a layout, whose table is not part of it.
    /// Does nothing for a seed.
    [[nodiscard]] result<void, image_failure> add_ends(image_torrent const& torrent,
                                                       std::unique_ptr<block_device>& device) const;
    /// Puts a packed target on the device. Does nothing unless a packed image is deployed.
    [[nodiscard]] result<void, image_failure> add_target(image_torrent const& torrent, io_profile const& profile,
                                                         std::unique_ptr<block_device>& device,
                                                         std::shared_ptr<packed_plan const>& plan) const;
};

/// How the image's transfers run, for example "io_uring, depth 64, direct I/O".
[[nodiscard]] std::string describe_engine(served_image& image, io_profile const& profile);

/// Logs the opened image, and each setting of the profile that the device or the kernel does not support.
void log_opened(log_fields const& fields, image_settings const& settings, opened_image const& opened,
                io_profile const& profile);

} // namespace seedbed
