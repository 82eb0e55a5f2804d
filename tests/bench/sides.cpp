#include "sides.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <semaphore>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <libtorrent/disabled_disk_io.hpp>
#include <libtorrent/hasher.hpp>
#include <libtorrent/mmap_disk_io.hpp>
#include <libtorrent/posix_disk_io.hpp>

#include "core/device/file_block_device.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/save_file.hpp"
#include "core/foundation/unique_fd.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/swarm/session_settings.hpp"

namespace seedbed::bench {

namespace lt = libtorrent;
namespace fs = std::filesystem;

void die(std::string const& message) {
    static_cast<void>(std::fprintf(stderr, "seedbed_bench: %s\n", message.c_str()));
    std::_Exit(1);
}

namespace {

std::int64_t size_of(std::string const& value) {
    auto const size = parse_byte_size(value);
    if (!size) {
        throw std::invalid_argument(size.error().message);
    }
    return *size;
}

} // namespace

side::side(std::string name)
    : m_name(std::move(name))
    , m_kind(m_name.substr(0, m_name.find(':')))
    , m_malloc(is_ours()) {
    if (m_kind != "seedbed" && m_kind != "mmap" && m_kind != "posix" && m_kind != "null") {
        throw std::invalid_argument("no such side: " + m_name);
    }
    for (auto at = m_name.find(':'); at != std::string::npos;) {
        auto const next = m_name.find(':', at + 1);
        auto const option = m_name.substr(at + 1, next == std::string::npos ? next : next - at - 1);
        auto const equals = option.find('=');
        auto const key = option.substr(0, equals);
        auto const value = equals == std::string::npos ? "" : option.substr(equals + 1);
        if (key == "malloc") {
            m_malloc = value == "1";
        } else if (key == "pool") {
            m_pool = size_of(value);
        } else if (key == "cache") {
            m_options.cache_bytes = size_of(value);
        } else if (key == "ahead") {
            m_options.hashing.ahead = value == "1";
        } else if (key == "direct") {
            m_direct = value == "1";
        } else if (key == "engine") {
            auto const engine = value == "threads" ? io_engine_kind::threads : io_engine_kind::io_uring;
            m_changes.emplace_back([engine](io_profile& p) { p.io_engine = engine; });
        } else if (key == "threads") {
            m_changes.emplace_back([n = std::stoi(value)](io_profile& p) { p.threads = n; });
        } else if (key == "depth") {
            m_changes.emplace_back([n = std::stoi(value)](io_profile& p) { p.queue_depth = n; });
        } else if (key == "coalesce") {
            m_changes.emplace_back([n = size_of(value)](io_profile& p) { p.coalesce = n; });
        } else if (key == "delay") {
            m_changes.emplace_back([n = std::stoi(value)](io_profile& p) { p.delay = std::chrono::milliseconds(n); });
        } else if (key == "read_ahead") {
            m_changes.emplace_back([n = size_of(value)](io_profile& p) { p.read_ahead = n; });
        } else if (key == "class" && parse_storage_class(value)) {
            m_class = *parse_storage_class(value);
        } else {
            throw std::invalid_argument("no such option of a side: " + option);
        }
        at = next;
    }
}

void side::tune_process() const {
    if (m_malloc) {
        keep_freed_memory();
    }
}

void side::open(lt::session_params& params, image_torrent const& torrent, std::string const& device, bool writable) {
    if (m_kind == "mmap") {
        params.disk_io_constructor = lt::mmap_disk_io_constructor;
        return;
    }
    if (m_kind == "posix") {
        params.disk_io_constructor = lt::posix_disk_io_constructor;
        return;
    }
    if (m_kind == "null") {
        params.disk_io_constructor = lt::disabled_disk_io_constructor;
        params.settings.set_bool(lt::settings_pack::disable_hash_checks, true);
        return;
    }
    auto profile = default_profile(m_class);
    for (auto const& change : m_changes) {
        change(profile);
    }
    device_requirements wanted;
    wanted.writable = writable;
    wanted.min_size = torrent.extents.device_end();
    wanted.direct_io = m_direct;
    auto opened = open_block_device(device, wanted);
    if (!opened) {
        die(opened.error().message);
    }
    auto options = m_options;
    options.populate = false;
    m_backend =
        std::make_shared<backend>(m_pool, static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U)), options);
    while (m_backend->pool().populate(m_backend->pool().capacity())) { // the first use of a block is not measured
    }
    auto made = m_backend->make_image(torrent, std::move(*opened), profile);
    if (!made) {
        die(made.error().message);
    }
    m_image = std::move(*made);
    if (auto const added = m_backend->add_image(m_image); !added) {
        die(added.error().message);
    }
    params.disk_io_constructor = [shared = m_backend](lt::io_context& context, lt::settings_interface const& settings,
                                                      lt::counters& counters) {
        return make_disk_io(shared, context, settings, counters);
    };
}

void side::make_durable(fs::path const& folder) {
    if (is_null()) {
        return;
    }
    if (is_ours()) {
        std::binary_semaphore done{0};
        m_image->io().when_written([&done] { done.release(); });
        done.acquire();
        if (auto const flushed = m_image->flush(); !flushed) {
            die(flushed.error().message());
        }
        return;
    }
    for (auto const& entry : fs::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) {
            continue;
        }
        unique_fd const fd(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
        if (!fd || ::fsync(fd.get()) != 0) {
            die(entry.path().string() + ": " + std::strerror(errno));
        }
    }
}

bench_image make_image(fs::path const& folder, std::int64_t size) {
    bench_image image;
    image.name = "bench";
    image.size = size;
    image.folder = folder;
    image.torrent_file = folder / "bench.torrent";
    auto const inner = folder / image.name;
    fs::create_directories(inner);
    auto const file = inner / std::string(32, '0');
    image.source = file.string();

    std::vector<extent> extents{{0, size}};
    auto map = extent_map::make(std::move(extents));
    std::vector<sha1_digest> hashes;
    unique_fd const fd(::open(file.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600));
    if (!fd) {
        die(file.string() + ": " + std::strerror(errno));
    }
    std::mt19937_64 random(1);
    std::vector<std::uint64_t> piece(static_cast<std::size_t>(partclone_piece_length) / sizeof(std::uint64_t));
    for (std::int64_t at = 0; at < size; at += partclone_piece_length) {
        std::ranges::generate(piece, random);
        auto const length = std::min<std::int64_t>(partclone_piece_length, size - at);
        if (::pwrite(fd.get(), piece.data(), static_cast<std::size_t>(length), at) != length) {
            die(file.string() + ": " + std::strerror(errno));
        }
        auto const digest = lt::hasher(reinterpret_cast<char const*>(piece.data()), static_cast<int>(length)).final();
        std::memcpy(hashes.emplace_back().data(), digest.data(), 20);
    }
    torrent_details details;
    details.name = image.name;
    details.piece_length = partclone_piece_length;
    details.creator = "seedbed_bench";
    auto const made = make_torrent(*map, hashes, details);
    if (!made) {
        die(made.error().message);
    }
    if (auto const saved = save_file(image.torrent_file, made->bytes, true); !saved) {
        die(saved.error().message);
    }
    return image;
}

fs::path make_target(fs::path const& folder, bench_image const& image) {
    auto const target = folder / fs::relative(image.source, image.folder);
    auto const size = image.size;
    fs::create_directories(target.parent_path());
    unique_fd const fd(::open(target.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    std::vector<char> const noise(1 << 20, '\xA5');
    if (!fd || ::ftruncate(fd.get(), size) != 0) {
        die(target.string() + ": " + std::strerror(errno));
    }
    for (std::int64_t at = 0; at < size;) {
        auto const length = std::min<std::int64_t>(size - at, static_cast<std::int64_t>(noise.size()));
        auto const written = ::pwrite(fd.get(), noise.data(), static_cast<std::size_t>(length), at);
        if (written <= 0) {
            die(target.string() + ": " + std::strerror(errno));
        }
        at += written;
    }
    return target;
}

} // namespace seedbed::bench
