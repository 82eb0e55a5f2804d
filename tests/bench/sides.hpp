#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <libtorrent/fwd.hpp>
#include <libtorrent/session_params.hpp>

#include "core/backend/backend.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed::bench {

/// A way to keep an image, by name:
///
///     seedbed[:KEY=VALUE...]   ours. Keys: pool, cache, engine (threads, io_uring), threads, depth, coalesce, delay
///     (ms),
///                              read_ahead, direct (0, 1), ahead (0, 1), class (hdd, sata_ssd, nvme)
///     mmap, posix              libtorrent's own. Key: malloc (0, 1)
///     null                     libtorrent's that does nothing: no byte is read, written or hashed
class side {
public:
    /// Throws std::invalid_argument for a name that is none of these.
    explicit side(std::string name);

    [[nodiscard]] std::string const& name() const noexcept { return m_name; }
    [[nodiscard]] bool is_null() const noexcept { return m_kind == "null"; }
    [[nodiscard]] bool is_ours() const noexcept { return m_kind == "seedbed"; }

    /// Opens what this side needs and sets the session's disk_io. \param device ours: the device or file; \param folder
    /// the others': where the torrent's folder is. Exits the process with a message where that fails.
    void open(libtorrent::session_params& params, image_torrent const& torrent, std::string const& device,
              bool writable);

    /// What the daemon does once in its process; nothing for the others, whose programs do not, unless they have the
    /// option malloc=1.
    void tune_process() const;

    /// Makes what was written durable. Blocks. Exits with a message where that fails.
    void make_durable(std::filesystem::path const& folder);

    /// Ours, after open().
    [[nodiscard]] backend* shared() const noexcept { return m_backend.get(); }
    [[nodiscard]] served_image* image() const noexcept { return m_image.get(); }

private:
    std::string m_name;
    std::string m_kind;
    std::int64_t m_pool = 256LL << 20;
    backend_options m_options;
    storage_class m_class = storage_class::nvme;
    std::vector<std::function<void(io_profile&)>> m_changes;
    bool m_direct = true;
    bool m_malloc = false;
    std::shared_ptr<backend> m_backend;
    std::shared_ptr<served_image> m_image;
};

/// Image and torrent for a bench: `size` bytes of noise in one or several extents.
struct bench_image {
    std::filesystem::path torrent_file;
    std::filesystem::path
        folder; ///< with a folder of the torrent's name and one file an extent, for libtorrent's own backends
    std::string name;
    std::int64_t size = 0;
    std::string source; ///< the device or file that holds the image for ours
};

/// Makes an image of one extent in a folder; \p size in bytes, a multiple of 1 MiB.
[[nodiscard]] bench_image make_image(std::filesystem::path const& folder, std::int64_t size);

/// What plays a device to be written, in a folder for one side: full of noise. Written, since a device has its memory
/// before, while memory that is only reserved costs a page fault, in a virtual machine an expensive one, when it is
/// first written. \return the file, where libtorrent's own backends look for it, too.
[[nodiscard]] std::filesystem::path make_target(std::filesystem::path const& folder, bench_image const& image);

[[noreturn]] void die(std::string const& message);

} // namespace seedbed::bench
