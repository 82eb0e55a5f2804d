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

/// A way to store an image, by name:
///
///     seedbed[:KEY=VALUE...]   ours. Keys: pool, cache, engine (threads, io_uring), threads, depth, coalesce, delay
///     (ms),
///                              read_ahead, direct (0, 1), ahead (0, 1), class (hdd, sata_ssd, nvme)
///     mmap, posix              libtorrent's own. Key: malloc (0, 1)
///     null                     libtorrent's without I/O: no byte is read, written or hashed
class side {
public:
    /// Throws std::invalid_argument for a name that is none of these.
    explicit side(std::string name);

    [[nodiscard]] std::string const& name() const noexcept { return m_name; }
    [[nodiscard]] bool is_null() const noexcept { return m_kind == "null"; }
    [[nodiscard]] bool is_ours() const noexcept { return m_kind == "seedbed"; }

    /// Opens this side and sets the session's disk_io. \param device ours: the device or file; \param folder
    /// the others': the parent of the torrent's folder. On failure, exits the process with a message.
    void open(libtorrent::session_params& params, image_torrent const& torrent, std::string const& device,
              bool writable);

    /// Does what the daemon does once in its process; nothing for the others, whose programs do not, except with the
    /// option malloc=1.
    void tune_process() const;

    /// Makes the written data durable. Blocks. On failure, exits with a message.
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
    /// Has a folder with the torrent's name and one file per extent, for libtorrent's own backends.
    std::filesystem::path folder;
    std::string name;
    std::int64_t size = 0;
    std::string source; ///< ours: the device or file that holds the image
};

/// Makes an image of one extent in a folder; \p size in bytes, a multiple of 1 MiB.
[[nodiscard]] bench_image make_image(std::filesystem::path const& folder, std::int64_t size);

/// Makes a file that acts as the device to write to, in a folder for one side, filled with noise: a device has its
/// memory in advance, while memory that is only reserved costs a page fault at the first write, an expensive one in a
/// virtual machine. \return the file, at the path that libtorrent's own backends use, too.
[[nodiscard]] std::filesystem::path make_target(std::filesystem::path const& folder, bench_image const& image);

[[noreturn]] void die(std::string const& message);

} // namespace seedbed::bench
