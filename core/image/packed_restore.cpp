#include "core/image/packed_restore.hpp"

#include <algorithm>
#include <array>
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
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device/full_transfer.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/lazy_array.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/packed_piece.hpp"
#include "core/image/sha1.hpp"

namespace seedbed {

namespace {

constexpr std::chrono::milliseconds restore_interval{100};
constexpr std::int64_t verified_step = 1 << 20;
/// Bytes to zero in one system call: the work can be cancelled between two.
constexpr std::int64_t zero_step = 64 * verified_step;
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

/// Aligned memory that grows.
class raw_buffer {
public:
    [[nodiscard]] std::span<std::byte> of_size(std::int64_t size) {
        auto const wanted = static_cast<std::size_t>(std::max<std::int64_t>(size, 1));
        if (!m_memory || m_memory->size() < wanted) {
            m_memory.reset();
            m_memory = std::make_unique<lazy_array<std::byte>>(wanted);
        }
        return {&(*m_memory)[0], static_cast<std::size_t>(size)};
    }

private:
    std::unique_ptr<lazy_array<std::byte>> m_memory;
};

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
        if (!stopping()) {
            scratch mine;
            write_piece(piece_index{0}, mine);
            flush();
        }
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
        if (auto const written = write_chunks(*chunks, raw); !written) {
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

    [[nodiscard]] result<void, io_error> write_chunks(std::span<packed_chunk const> chunks,
                                                      std::span<std::byte const> raw) {
        while (!chunks.empty()) {
            if (chunks.front().method == chunk_method::zero) {
                if (auto written = write_zero_chunk(chunks.front()); !written) {
                    return written;
                }
                chunks = chunks.subspan(1);
                continue;
            }
            // Adjacent chunks are adjacent in memory, too.
            auto const offset = m_options.placement.of(chunks.front());
            auto length = std::int64_t{chunks.front().raw_length};
            std::size_t count = 1;
            while (count < chunks.size() && chunks[count].method != chunk_method::zero &&
                   m_options.placement.of(chunks[count]) == offset + byte_count{length}) {
                length += chunks[count++].raw_length;
            }
            if (auto written = m_device.write(offset.value(), raw.first(static_cast<std::size_t>(length))); !written) {
                return written;
            }
            m_done.fetch_add(length, std::memory_order_relaxed);
            raw = raw.subspan(static_cast<std::size_t>(length));
            chunks = chunks.subspan(count);
        }
        return {};
    }

    [[nodiscard]] result<void, io_error> write_zero_chunk(packed_chunk const& chunk) {
        for (std::int64_t at = 0; at < chunk.raw_length && !stopping(); at += zero_step) {
            auto const length = std::min(zero_step, chunk.raw_length - at);
            if (auto written = write_zeros(m_device, (m_options.placement.of(chunk) + byte_count{at}).value(), length);
                !written) {
                return written;
            }
            m_done.fetch_add(length, std::memory_order_relaxed);
        }
        return {};
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
    std::atomic<std::int32_t> m_next{1}; ///< piece
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
        auto const buffer = memory.of_size(verified_step);
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
        bool equal = true;
        auto const offset = m_options.placement.of(chunk).value();
        for (std::int64_t at = 0; at < chunk.raw_length && !restore_cancelled(m_options); at += verified_step) {
            auto const part = buffer.first(static_cast<std::size_t>(std::min(verified_step, chunk.raw_length - at)));
            if (auto const read = m_device.read_medium(offset + at, part); !read) {
                return tl::unexpected(read.error());
            }
            undo_corrections(offset + at, part);
            equal = equal && (chunk.method == chunk_method::zero ? is_zero(part) : digest_of(part) == chunk.digest);
            m_done.fetch_add(static_cast<std::int64_t>(part.size()), std::memory_order_relaxed);
        }
        return equal;
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

/// \return whether the kernel has zeroed the range; EOPNOTSUPP if it cannot. 0 or errno.
int zero_by_kernel(block_device& device, std::int64_t offset, std::int64_t length) {
    auto const raw = device.raw();
    struct ::stat status = {};
    if (!raw || ::fstat(raw->cached, &status) != 0 || !S_ISBLK(status.st_mode)) {
        return EOPNOTSUPP;
    }
    if (auto const code = raw->refuse(true, offset, length); code != 0) {
        return code;
    }
    device.will_write(offset, length);
    std::array<std::uint64_t, 2> range{static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)};
    while (::ioctl(raw->cached, BLKZEROOUT, range.data()) != 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

/// The range that begins at or before an offset; nothing if none does.
moved_range const* range_before(std::vector<moved_range> const& ranges, device_offset offset) {
    auto const after = std::ranges::upper_bound(ranges, offset.value(), {}, &moved_range::start);
    return after == ranges.begin() ? nullptr : &*(after - 1);
}

} // namespace

result<chunk_placement> chunk_placement::make(packed_image const& image, std::vector<moved_range> ranges) {
    chunk_placement placement;
    placement.m_ranges = std::move(ranges);
    for (auto const& chunk : image.index.chunks()) {
        auto const* const range = range_before(placement.m_ranges, chunk.offset);
        if (range == nullptr || chunk.end().value() > range->start + range->size) {
            return tl::unexpected(error{"the bytes " + std::to_string(chunk.offset.value()) + " to " +
                                        std::to_string(chunk.end().value()) + " lie in no partition of its layout"});
        }
    }
    return placement;
}

device_offset chunk_placement::of(packed_chunk const& chunk) const noexcept {
    auto const* const range = range_before(m_ranges, chunk.offset);
    return range == nullptr ? chunk.offset : chunk.offset + byte_count{range->shift};
}

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

result<void, io_error> write_zeros(block_device& device, std::int64_t offset, std::int64_t length) {
    auto const code = zero_by_kernel(device, offset, length);
    if (code == 0) {
        return {};
    }
    if (code != EOPNOTSUPP && code != ENOTTY && code != EINVAL) {
        return tl::make_unexpected(
            make_io_error(io_operation::write, device.path(), device_offset{offset}, length, code));
    }
    alignas(4096) static constexpr std::array<std::byte, verified_step> zeros{};
    for (std::int64_t at = 0; at < length; at += verified_step) {
        auto const part = std::span(zeros).first(static_cast<std::size_t>(std::min(verified_step, length - at)));
        if (auto written = device.write(offset + at, part); !written) {
            return written;
        }
    }
    return {};
}

packed_comparison compare_packed(packed_image const& image, block_device& device, restore_options const& options) {
    return comparing(image, device, options).run();
}

} // namespace seedbed
