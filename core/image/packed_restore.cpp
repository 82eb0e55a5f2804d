#include "core/image/packed_restore.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device/full_transfer.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/packed_piece.hpp"
#include "core/image/sha1.hpp"

namespace seedbed {

namespace {

constexpr std::chrono::milliseconds restore_interval{100};
/// Chunks that one thread compares in a row.
constexpr std::size_t compared_chunks = 16;

bool restore_cancelled(restore_options const& options) {
    return options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed);
}

/// Runs \p work, a loop that ends by itself, on each of the threads, and reports \p done meanwhile.
void run_on_threads(restore_options const& options, std::atomic<std::int64_t> const& done,
                    std::function<void()> const& work) {
    auto const threads = std::max(options.threads, 1);
    std::mutex mutex;
    std::condition_variable ended;
    int running = threads;
    worker_pool workers("restore", threads); // last: its threads use the others
    for (int i = 0; i < threads; ++i) {
        workers.submit([&] {
            work();
            std::scoped_lock const lock(mutex);
            --running;
            ended.notify_one();
        });
    }
    std::unique_lock lock(mutex);
    while (!ended.wait_for(lock, restore_interval, [&running] { return running == 0; })) {
        if (options.progress) {
            lock.unlock();
            options.progress(done.load(std::memory_order_relaxed));
            lock.lock();
        }
    }
}

class writing {
public:
    writing(packed_image const& image, opened_packed_file const& file, block_device& device,
            restore_options const& options)
        : m_image(image)
        , m_file(file)
        , m_device(device)
        , m_options(options) {}

    [[nodiscard]] result<bool, restore_failure> run() {
        run_on_threads(m_options, m_done, [this] { write_pieces(); });
        flush();
        if (m_failed) {
            return tl::unexpected(*m_failed);
        }
        return !restore_cancelled(m_options);
    }

private:
    /// The memory of one thread.
    struct scratch {
        raw_buffer piece;
        raw_buffer raw;
        chunk_unpacker unpacker;
    };

    void write_pieces() {
        try {
            scratch mine;
            while (!stopping()) {
                piece_index const piece{m_next.fetch_add(1, std::memory_order_relaxed)};
                if (piece.value() >= m_image.piece_count()) {
                    return;
                }
                write_piece(piece, mine);
            }
        } catch (std::bad_alloc const&) {
            fail(restore_failure::cause::device, m_device.path() + ": out of memory");
        }
    }

    void write_piece(piece_index number, scratch& mine) {
        auto const piece = mine.piece.of_size(m_image.layout().piece_size(number).value());
        if (!read(number, piece)) {
            return;
        }
        auto const chunks = check_piece(m_image, number, piece);
        if (!chunks) {
            return fail(restore_failure::cause::image, m_file.path + ": " + chunks.error().message);
        }
        auto const raw = mine.raw.of_size(unpacked_size(*chunks));
        if (auto const unpacked = unpack_piece(mine.unpacker, piece, number, *chunks, raw); !unpacked) {
            return fail(restore_failure::cause::image, m_file.path + ": " + unpacked.error().message);
        }
        auto const count = [this](std::int64_t bytes) {
            m_done.fetch_add(bytes, std::memory_order_relaxed);
            return !stopping();
        };
        if (auto const written = write_chunks(m_device, m_options.placement, *chunks, raw, count); !written) {
            fail(restore_failure::cause::device, written.error().message());
        }
    }

    /// Reads and authenticates a piece.
    [[nodiscard]] bool read(piece_index number, std::span<std::byte> piece) {
        auto const offset = (m_image.layout().begin_of(number) - torrent_offset{}).value();
        auto const call = [this](std::byte* to, std::size_t count, std::int64_t at) {
            return ::pread(m_file.fd.get(), to, count, at);
        };
        if (auto const code = transfer_fully(call, offset, piece); code != 0) {
            io_error const why{io_operation::read, m_file.path, offset, static_cast<std::int64_t>(piece.size()), code};
            fail(restore_failure::cause::image, why.message());
            return false;
        }
        sha1_sum sum;
        sum.update(piece);
        if (sum.final() != m_image.hash_of(number)) {
            fail(restore_failure::cause::image, m_file.path + ": piece " + std::to_string(number.value()) + " (bytes " +
                                                    std::to_string(offset) + " to " +
                                                    std::to_string(offset + static_cast<std::int64_t>(piece.size())) +
                                                    ") is damaged: its SHA-1 differs from that in the .torrent");
            return false;
        }
        return true;
    }

    void flush() {
        if (stopping()) {
            return;
        }
        if (auto const flushed = m_device.flush(); !flushed) {
            fail(restore_failure::cause::device, flushed.error().message());
        }
    }

    void fail(restore_failure::cause what, std::string message) {
        std::scoped_lock const lock(m_mutex);
        if (!m_failed) {
            m_failed = restore_failure{what, std::move(message)};
        }
        m_has_failed.store(true, std::memory_order_relaxed);
    }
    [[nodiscard]] bool stopping() const {
        return m_has_failed.load(std::memory_order_relaxed) || restore_cancelled(m_options);
    }

    packed_image const& m_image;
    opened_packed_file const& m_file;
    block_device& m_device;
    restore_options const& m_options;
    std::atomic<std::int32_t> m_next{0}; ///< piece
    std::atomic<std::int64_t> m_done{0}; ///< bytes of the device
    std::atomic<bool> m_has_failed{false};
    std::mutex m_mutex;
    std::optional<restore_failure> m_failed; ///< guarded by m_mutex while threads run
};

class comparing {
public:
    comparing(packed_image const& image, block_device& device, restore_options const& options)
        : m_chunks(image.index.chunks())
        , m_device(device)
        , m_options(options) {}

    [[nodiscard]] packed_comparison run() {
        run_on_threads(m_options, m_done, [this] {
            try {
                compare_chunks();
            } catch (std::bad_alloc const&) {
                stop(make_io_error(io_operation::read, m_device.path(), device_offset{0}, 0, ENOMEM));
            }
        });
        std::ranges::sort(m_found.differing);
        m_found.cancelled = !m_found.read_failed && restore_cancelled(m_options);
        return std::move(m_found);
    }

private:
    void compare_chunks() {
        raw_buffer memory;
        auto const buffer = memory.of_size(packed_limits::chunk);
        while (!m_stop.load(std::memory_order_relaxed)) {
            auto const begin = m_next.fetch_add(compared_chunks, std::memory_order_relaxed);
            for (auto at = begin; at < std::min(begin + compared_chunks, m_chunks.size()); ++at) {
                auto equal = is_equal(m_chunks[at], buffer);
                if (!equal) {
                    return stop(std::move(equal.error()));
                }
                if (restore_cancelled(m_options)) {
                    return;
                }
                if (!*equal) {
                    std::scoped_lock const lock(m_mutex);
                    m_found.differing.push_back(at);
                }
            }
            if (begin >= m_chunks.size()) {
                return;
            }
        }
    }

    [[nodiscard]] result<bool, io_error> is_equal(packed_chunk const& chunk, std::span<std::byte> buffer) {
        auto const step = [this](std::int64_t bytes) {
            m_done.fetch_add(bytes, std::memory_order_relaxed);
            return !restore_cancelled(m_options);
        };
        auto const correct = [this](std::int64_t offset, std::span<std::byte> bytes) {
            undo_corrections(offset, bytes);
        };
        return chunk_is_on_medium(m_device, m_options.placement, chunk, buffer, step, correct);
    }

    /// Puts the image's bytes in place of fields that were changed on purpose. \param offset of the bytes on the
    /// device.
    void undo_corrections(std::int64_t offset, std::span<std::byte> bytes) const {
        for (auto const& field : m_options.corrected) {
            for (std::size_t i = 0; i < field.original.size(); ++i) {
                auto const at = field.offset + static_cast<std::int64_t>(i) - offset;
                if (at >= 0 && at < static_cast<std::int64_t>(bytes.size())) {
                    bytes[static_cast<std::size_t>(at)] = field.original[i];
                }
            }
        }
    }

    void stop(io_error why) {
        std::scoped_lock const lock(m_mutex);
        if (!m_found.read_failed) {
            m_found.read_failed = std::move(why);
        }
        m_stop.store(true, std::memory_order_relaxed);
    }

    std::span<packed_chunk const> const m_chunks;
    block_device& m_device;
    restore_options const& m_options;
    std::atomic<std::size_t> m_next{0};
    std::atomic<std::int64_t> m_done{0};
    std::atomic<bool> m_stop{false};
    std::mutex m_mutex;
    packed_comparison m_found; ///< guarded by m_mutex while threads run
};

} // namespace

result<opened_packed_file> open_packed_file(std::string const& path, packed_image const& image) {
    opened_packed_file file{unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), path};
    struct ::stat status = {};
    if (!file.fd || ::fstat(file.fd.get(), &status) != 0) {
        return tl::unexpected(errno_error(path, errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return tl::unexpected(error{path + ": not a regular file"});
    }
    if (auto const size = std::int64_t{status.st_size}; size != image.packed_size.value()) {
        return tl::unexpected(error{path + ": has " + format_count(size, "byte") + ", its .torrent states " +
                                    std::to_string(image.packed_size.value())});
    }
    return file;
}

result<bool, restore_failure> write_packed(packed_image const& image, opened_packed_file const& file,
                                           block_device& device, restore_options const& options) {
    return writing(image, file, device, options).run();
}

packed_comparison compare_packed(packed_image const& image, block_device& device, restore_options const& options) {
    return comparing(image, device, options).run();
}

} // namespace seedbed
