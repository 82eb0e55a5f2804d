#include "core/device/opened_device.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "core/device/full_transfer.hpp"
#include "core/device/medium_reader.hpp"

namespace seedbed {

namespace {

/// Write-back starts each time this many bytes have been written: a disk with a head writes them in a tenth of a
/// second.
constexpr std::int64_t write_back_mark = std::int64_t{8} * 1024 * 1024; // also stated in opened_device.hpp

class opened_device final : public block_device {
public:
    opened_device(std::string path, opened_files files, bool writable)
        : m_path(std::move(path))
        , m_fd(std::move(files.cached))
        , m_write_back_fd(std::move(files.write_back))
        , m_direct_fd(std::move(files.direct))
        , m_rules(rules_of(files, static_cast<bool>(m_direct_fd)))
        , m_size(files.size)
        , m_writable(writable)
        , m_one_writer(!files.is_block_device && !m_direct_fd)
        , m_medium(m_fd.get(), files.size, files.logical_block_size)
        , m_locks(std::move(files.locks)) {}

    [[nodiscard]] std::string const& path() const noexcept override { return m_path; }
    [[nodiscard]] std::int64_t size() const noexcept override { return m_size; }
    [[nodiscard]] bool read_only() const noexcept override { return !m_writable; }

    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) override {
        iovec const whole{buffer.data(), buffer.size()};
        return read(offset, std::span(&whole, 1));
    }

    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) override {
        auto const length = length_of(memory);
        for (auto const& part : plan_transfer(m_rules, offset, length, memory)) {
            auto const call = [fd = descriptor(part)](iovec const* pieces, int count, std::int64_t at) {
                return ::preadv(fd, pieces, count, at);
            };
            if (int const code = transfer_fully(call, part.offset, part.length, from(memory, part)); code != 0) {
                return outcome(io_operation::read, offset, length, code);
            }
        }
        return {};
    }

    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) override {
        iovec const whole{const_cast<std::byte*>(buffer.data()), buffer.size()}; // pwritev only reads it
        return write(offset, std::span(&whole, 1));
    }

    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<iovec const> memory) override {
        auto const length = length_of(memory);
        if (int const code = raw()->refuse(true, offset, length); code != 0) {
            return outcome(io_operation::write, offset, length, code);
        }
        add_suspects(offset, length); // first, because a concurrent flush may miss this write
        for (auto const& part : plan_transfer(m_rules, offset, length, memory)) {
            auto const call = [fd = descriptor(part)](iovec const* pieces, int count, std::int64_t at) {
                return ::pwritev(fd, pieces, count, at);
            };
            int code = transfer_fully(call, part.offset, part.length, from(memory, part));
            if (code == 0 && !part.direct) {
                code = bound_dirty_cache(part.length);
            }
            if (code != 0) {
                return outcome(io_operation::write, offset, length, code);
            }
        }
        return {};
    }

    [[nodiscard]] std::optional<raw_device> raw() const noexcept override {
        return raw_device{m_fd.get(), m_direct_fd.get(), m_write_back_fd.get(), m_rules,
                          m_size,     m_writable,        m_one_writer};
    }

    [[nodiscard]] result<void, io_error> will_write(std::int64_t offset, std::int64_t length) override {
        add_suspects(offset, length);
        return {};
    }

    [[nodiscard]] bool wrote_through_cache(std::int64_t bytes) noexcept override {
        std::int64_t const before = m_written.fetch_add(bytes, std::memory_order_relaxed);
        return before / write_back_mark != (before + bytes) / write_back_mark;
    }

    [[nodiscard]] result<void, io_error> wrote_back(std::int64_t bytes, int code) noexcept override {
        if (code == ENOSYS || code == EINVAL || code == ESPIPE) {
            code = 0; // not supported: the kernel writes back at its own pace
        }
        if (code != 0) {
            // The call can consume the error of a lost page, which the kernel reports only once, so this write and
            // every later flush must fail.
            int none = 0;
            m_write_back_failure.compare_exchange_strong(none, code);
        }
        return outcome(io_operation::write, 0, bytes, code);
    }

    [[nodiscard]] result<void, io_error> flush() override {
        // One at a time: the kernel reports a lost page to only one fsync of a descriptor, so a concurrent one would
        // report the same page as safe.
        std::lock_guard const lock(m_flush_mutex);
        if (m_flush_failure == 0) {
            auto const written = take_suspects();
            m_flush_failure = sync();
            if (m_flush_failure == 0) {
                m_flush_failure = m_write_back_failure.load();
            }
            m_lost = m_flush_failure == 0 ? byte_range{} : written;
        }
        return outcome(io_operation::flush, m_lost.begin, m_lost.end - m_lost.begin, m_flush_failure);
    }

    void forget_failed_flush() override {
        std::lock_guard const lock(m_flush_mutex);
        take_report(m_fd.get());
        take_report(m_write_back_fd.get());
        m_write_back_failure = 0;
        m_flush_failure = 0;
        m_lost = {};
    }

    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override {
        return outcome(io_operation::read, offset, static_cast<std::int64_t>(buffer.size()),
                       m_medium.read(offset, buffer));
    }

private:
    [[nodiscard]] static direct_rules rules_of(opened_files const& files, bool direct) {
        direct_rules rules;
        if (direct) {
            auto const sector = static_cast<std::int64_t>(files.logical_block_size);
            // The unit of the page cache: if a direct and a cached transfer shared one, its write-back would undo the
            // direct one.
            rules.page = std::max<std::int64_t>({sector, ::sysconf(_SC_PAGESIZE), 4096});
            rules.memory = static_cast<std::size_t>(sector);
            rules.length = static_cast<std::size_t>(sector);
        }
        return rules;
    }

    [[nodiscard]] static memory_cursor from(std::span<iovec const> memory, transfer_part const& part) {
        memory_cursor cursor(memory);
        cursor.skip(part.skip);
        return cursor;
    }

    [[nodiscard]] int descriptor(transfer_part const& part) const {
        return part.direct ? m_direct_fd.get() : m_fd.get();
    }

    /// Counts \p written bytes and starts write-back if they cross a mark; of concurrent writes, only the one that
    /// crosses it does. \return 0 or errno.
    [[nodiscard]] int bound_dirty_cache(std::int64_t written) {
        if (!wrote_through_cache(written)) {
            return 0;
        }
        int code = 0;
        do {
            code = ::sync_file_range(m_write_back_fd.get(), 0, 0, write_back_flags) == 0 ? 0 : errno;
        } while (code == EINTR);
        auto const waited_for = wrote_back(written, code);
        return waited_for ? 0 : waited_for.error().code;
    }

    /// A range of the device; empty unless it ends after its begin.
    struct byte_range {
        std::int64_t begin = 0;
        std::int64_t end = 0;
    };

    void add_suspects(std::int64_t offset, std::int64_t length) {
        std::lock_guard const lock(m_suspects_mutex);
        auto const none = m_suspects.end == 0;
        m_suspects.begin = none ? offset : std::min(m_suspects.begin, offset);
        m_suspects.end = std::max(m_suspects.end, offset + length);
    }

    [[nodiscard]] byte_range take_suspects() {
        std::lock_guard const lock(m_suspects_mutex);
        return std::exchange(m_suspects, {});
    }

    /// Takes the kernel's report of lost pages, of which each open file gets one, and drops the cache: its copy of a
    /// lost page is not on the medium.
    static void take_report(int fd) {
        // Their failure is the report that this function takes, and the next write finds any other cause again.
        static_cast<void>(::sync_file_range(fd, 0, 0, write_back_flags | SYNC_FILE_RANGE_WAIT_AFTER));
        static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    }

    [[nodiscard]] int sync() const {
        while (::fsync(m_fd.get()) != 0) {
            if (errno != EINTR) {
                return errno;
            }
        }
        return 0;
    }

    [[nodiscard]] result<void, io_error> outcome(io_operation op, std::int64_t offset, std::int64_t length,
                                                 int code) const noexcept {
        if (code != 0) {
            return tl::make_unexpected(make_io_error(op, m_path, device_offset{offset}, length, code));
        }
        return {};
    }

    std::string const m_path;
    unique_fd const m_fd;
    /// The kernel reports a lost page once to each open file. Write-back has its own, so that it does not hide an error
    /// from a concurrent flush.
    unique_fd const m_write_back_fd;
    unique_fd const m_direct_fd;
    direct_rules const m_rules;
    std::int64_t const m_size;
    bool const m_writable;
    bool const m_one_writer;
    medium_reader m_medium;
    std::vector<unique_fd> const m_locks;
    std::atomic<std::int64_t> m_written{0}; ///< bytes since opening
    std::mutex m_suspects_mutex;
    byte_range m_suspects; ///< spans all writes since the last flush began; guarded by m_suspects_mutex
    std::atomic<int> m_write_back_failure{0}; ///< errno of the first write-back that failed
    std::mutex m_flush_mutex;
    byte_range m_lost;       ///< the range that the failed flush should have made durable; guarded by m_flush_mutex
    int m_flush_failure = 0; ///< errno of the first flush that failed; guarded by m_flush_mutex
};

} // namespace

std::unique_ptr<block_device> make_opened_device(std::string path, opened_files files, bool writable) {
    return std::make_unique<opened_device>(std::move(path), std::move(files), writable);
}

} // namespace seedbed
