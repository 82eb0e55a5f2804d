#include "core/device/file_block_device.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <utility>

#include "core/device/device_guards.hpp"
#include "core/device/full_transfer.hpp"
#include "core/device/medium_reader.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

/// Bytes written after which write-back is started: what a disk with a head writes in a tenth of a second.
constexpr std::int64_t write_back_mark = std::int64_t{8} * 1024 * 1024;

/// A flush that has failed stays failed: no later one can make good what the kernel has dropped.
///
/// The page cache holds little that is dirty: each time another write_back_mark bytes are written, the write that
/// completes them waits for the write-back that was started the time before, and starts it for the new ones; so the
/// flush of a stop takes a second or two and not minutes. Where that fails, so does this write, and every flush to
/// come.
class file_block_device final : public block_device {
public:
    /// \param direct the same device past the page cache, or empty.
    /// \param write_back the same device, opened once more.
    file_block_device(std::string path, unique_fd fd, unique_fd write_back, unique_fd direct,
                      device_geometry const& geometry, bool writable)
        : m_path(std::move(path))
        , m_fd(std::move(fd))
        , m_write_back_fd(std::move(write_back))
        , m_direct_fd(std::move(direct))
        , m_rules(rules_of(geometry, static_cast<bool>(m_direct_fd)))
        , m_size(geometry.size)
        , m_writable(writable)
        , m_one_writer(!geometry.is_block_device && !m_direct_fd)
        , m_medium(m_fd.get(), geometry.size, geometry.logical_block_size) {}

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
        add_suspects(offset, length); // before: a flush that comes meanwhile may miss it
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

    void will_write(std::int64_t offset, std::int64_t length) override { add_suspects(offset, length); }

    [[nodiscard]] bool wrote_through_cache(std::int64_t bytes) noexcept override {
        std::int64_t const before = m_written.fetch_add(bytes, std::memory_order_relaxed);
        return before / write_back_mark != (before + bytes) / write_back_mark;
    }

    [[nodiscard]] result<void, io_error> wrote_back(std::int64_t bytes, int code) noexcept override {
        if (code == ENOSYS || code == EINVAL || code == ESPIPE) {
            code = 0; // not to be had here: the kernel writes back when it likes
        }
        if (code != 0) {
            // The call can meet the error of a lost page, which the kernel then does not tell again: it fails this
            // write and every flush to come.
            int none = 0;
            m_write_back_failure.compare_exchange_strong(none, code);
        }
        return outcome(io_operation::write, 0, bytes, code);
    }

    [[nodiscard]] result<void, io_error> flush() override {
        // One at a time: the kernel tells a lost page to one fsync of a descriptor only, and a second one that runs
        // beside it would call the same page safe.
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

    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override {
        return outcome(io_operation::read, offset, static_cast<std::int64_t>(buffer.size()),
                       m_medium.read(offset, buffer));
    }

private:
    [[nodiscard]] static direct_rules rules_of(device_geometry const& geometry, bool direct) {
        direct_rules rules;
        if (direct) {
            auto const sector = static_cast<std::int64_t>(geometry.logical_block_size);
            // The unit of the page cache: where direct and cached transfers share one, writing it back undoes the
            // direct one.
            rules.page = std::max<std::int64_t>({sector, ::sysconf(_SC_PAGESIZE), 4096});
            rules.memory = static_cast<std::size_t>(sector);
            rules.length = static_cast<std::size_t>(sector);
        }
        return rules;
    }

    [[nodiscard]] static std::int64_t length_of(std::span<iovec const> memory) {
        std::int64_t length = 0;
        for (auto const& piece : memory) {
            length += static_cast<std::int64_t>(piece.iov_len);
        }
        return length;
    }

    [[nodiscard]] static memory_cursor from(std::span<iovec const> memory, transfer_part const& part) {
        memory_cursor cursor(memory);
        cursor.skip(part.skip);
        return cursor;
    }

    [[nodiscard]] int descriptor(transfer_part const& part) const {
        return part.direct ? m_direct_fd.get() : m_fd.get();
    }

    /// Counts \p written bytes and starts write-back where they cross a mark; of concurrent writes only the one that
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

    /// Bytes of the device; empty where it ends before it begins.
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
            return tl::make_unexpected(make_io_error(op, m_path, offset, length, code));
        }
        return {};
    }

    std::string const m_path;
    unique_fd const m_fd;
    /// The kernel tells a lost page to each open file once: this one is for write-back, so that it takes nothing away
    /// from a flush that runs beside it.
    unique_fd const m_write_back_fd;
    unique_fd const m_direct_fd;
    direct_rules const m_rules;
    std::int64_t const m_size;
    bool const m_writable;
    bool const m_one_writer;
    medium_reader m_medium;
    std::atomic<std::int64_t> m_written{0}; ///< bytes since it was opened
    std::mutex m_suspects_mutex;
    byte_range m_suspects; ///< around all that was written since the last flush began; guarded by m_suspects_mutex
    std::atomic<int> m_write_back_failure{0}; ///< errno of the first write-back that failed
    std::mutex m_flush_mutex;
    byte_range m_lost;       ///< what that flush was to make durable: between these lies what is lost; guarded likewise
    int m_flush_failure = 0; ///< errno of the first flush that failed; guarded by m_flush_mutex
};

tl::unexpected<device_refusal> refuse(device_guard guard, std::string const& path, std::string const& reason) {
    return tl::make_unexpected(device_refusal{guard, path + ": " + reason});
}

tl::unexpected<device_refusal> refuse(device_guard guard, std::string const& path, int code) {
    return tl::make_unexpected(device_refusal{guard, errno_error(path, code).message});
}

/// A path that was looked at and opened for reading only: nothing that would disturb whoever uses the device.
struct looked_at {
    unique_fd fd;
    struct ::stat st = {};
    device_geometry geometry;
};

/// Fills \p geometry from an open file. \return 0 or errno.
int read_geometry(looked_at const& device, device_geometry& geometry) {
    int const fd = device.fd.get();
    geometry.is_block_device = S_ISBLK(device.st.st_mode);
    if (geometry.is_block_device) {
        std::uint64_t size = 0;
        int logical = 0;
        unsigned physical = 0;
        int read_only = 0;
        if (::ioctl(fd, BLKGETSIZE64, &size) != 0 || ::ioctl(fd, BLKSSZGET, &logical) != 0 ||
            ::ioctl(fd, BLKPBSZGET, &physical) != 0 || ::ioctl(fd, BLKROGET, &read_only) != 0) {
            return errno;
        }
        geometry.size = static_cast<std::int64_t>(size);
        geometry.logical_block_size = logical;
        geometry.physical_block_size = static_cast<int>(physical);
        geometry.read_only = read_only != 0;
        return 0;
    }

    geometry.size = device.st.st_size;
    geometry.physical_block_size = static_cast<int>(device.st.st_blksize);
    geometry.logical_block_size = geometry.physical_block_size;
    struct ::statx stx = {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 && (stx.stx_mask & STATX_DIOALIGN) != 0 &&
        stx.stx_dio_offset_align != 0) {
        geometry.logical_block_size = static_cast<int>(stx.stx_dio_offset_align);
    }
    return 0;
}

char const* type_name(mode_t mode) {
    if (S_ISDIR(mode)) {
        return "a directory";
    }
    if (S_ISCHR(mode)) {
        return "a character device";
    }
    if (S_ISFIFO(mode)) {
        return "a named pipe";
    }
    return S_ISSOCK(mode) ? "a socket" : "a special file";
}

bool same_file(struct ::stat const& a, struct ::stat const& b) {
    if (S_ISBLK(a.st_mode) || S_ISBLK(b.st_mode)) {
        return S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode) && a.st_rdev == b.st_rdev;
    }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

result<looked_at, device_refusal> look_at(std::string const& path) {
    looked_at device;
    // Before it is opened, because opening a pipe waits and opening a tape winds it.
    if (::stat(path.c_str(), &device.st) != 0) {
        return refuse(device_guard::missing, path, errno);
    }
    if (!S_ISBLK(device.st.st_mode) && !S_ISREG(device.st.st_mode)) {
        return refuse(device_guard::wrong_type, path,
                      std::string(type_name(device.st.st_mode)) + ", neither a block device nor a regular file");
    }
    device.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!device.fd) {
        return refuse(device_guard::missing, path, errno);
    }
    struct ::stat opened = {};
    if (::fstat(device.fd.get(), &opened) != 0) {
        return refuse(device_guard::missing, path, errno);
    }
    if (!same_file(device.st, opened)) {
        return refuse(device_guard::missing, path, "became another file while it was opened");
    }
    device.st = opened;
    if (int const code = read_geometry(device, device.geometry); code != 0) {
        return refuse(device_guard::wrong_type, path, code);
    }
    if (!device.geometry.is_block_device) {
        device.geometry.read_only = ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0;
    }
    return device;
}

/// Is it the device that the configuration names?
result<void, device_refusal> check_identity(std::string const& path, looked_at const& device,
                                            device_requirements const& requirements) {
    if (requirements.serial) {
        if (!device.geometry.is_block_device) {
            return refuse(device_guard::wrong_identity, path,
                          "a regular file has no serial number, but \"" + *requirements.serial + "\" is asked for");
        }
        auto const serials = device_serials(device.st.st_rdev);
        if (serials.empty()) {
            return refuse(device_guard::wrong_identity, path,
                          "no serial number is known of it, but \"" + *requirements.serial + "\" is asked for");
        }
        if (std::ranges::find(serials, *requirements.serial) == serials.end()) {
            return refuse(device_guard::wrong_identity, path,
                          "its serial number is \"" + serials.front() + "\", but \"" + *requirements.serial +
                              "\" is asked for");
        }
    }
    if (requirements.size && *requirements.size != device.geometry.size) {
        return refuse(device_guard::wrong_identity, path,
                      "its size is " + std::to_string(device.geometry.size) + " bytes, but " +
                          std::to_string(*requirements.size) + " are asked for");
    }
    return {};
}

/// Is it in use? \param related the devices that share its bytes; empty for a regular file.
/// \return whether it is mounted, as it may be.
result<bool, device_refusal> check_in_use(std::string const& path, looked_at const& device,
                                          std::vector<dev_t> const& related, device_requirements const& requirements) {
    if (auto const swap = find_swap(related, device.st)) {
        return refuse(device_guard::swap, path, "in use as swap space (" + *swap + ")");
    }
    auto const mounted = find_mounted(related);
    if (!mounted) {
        return false;
    }
    std::string const part = mounted->device == device.st.st_rdev ? "" : "a part of it or the disk it is on is ";
    if (requirements.writable) {
        return refuse(device_guard::mounted, path, part + "mounted on " + mounted->mount_point);
    }
    if (mounted->writable && !requirements.allow_mounted) {
        return refuse(device_guard::mounted, path, part + "mounted read-write on " + mounted->mount_point);
    }
    return true;
}

/// Can it do what the image needs?
result<void, device_refusal> check_capability(std::string const& path, device_geometry const& geometry,
                                              device_requirements const& requirements) {
    if (requirements.writable && geometry.read_only) {
        return refuse(device_guard::read_only, path, "read-only");
    }
    if (geometry.size < requirements.min_size) {
        return refuse(device_guard::too_small, path,
                      "too small: it has " + std::to_string(geometry.size) + " bytes, the image needs " +
                          std::to_string(requirements.min_size));
    }
    if (requirements.direct_io_alignment > 0 && requirements.direct_io_alignment % geometry.logical_block_size != 0) {
        return refuse(device_guard::sector_size, path,
                      "direct I/O is asked for, but its sectors of " + std::to_string(geometry.logical_block_size) +
                          " bytes do not divide the image's extents (multiples of " +
                          std::to_string(requirements.direct_io_alignment) + ")");
    }
    return {};
}

/// Leaves behind what others have written before the device was ours. The kernel tells the loss of a page to the next
/// one who asks, also by a descriptor opened later: without this, our first flush would fail for their writes. And what
/// the page cache holds of such a loss is not on the medium. The device's own cache is not flushed: what was in it was
/// never promised to us.
/// \return 0 or errno.
int settle(int fd) {
    constexpr unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    while (::sync_file_range(fd, 0, 0, all) != 0) {
        if (errno != EINTR) {
            return ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        }
    }
    return 0;
}

device_refusal open_refusal(std::string const& path, std::vector<dev_t> const& related, bool writable, int code) {
    if (code == EBUSY) {
        std::string by;
        for (std::string const& holder : find_holders(related)) {
            by += (by.empty() ? " (" : ", ") + holder;
        }
        return {device_guard::held, path + ": held by another program or device" + (by.empty() ? by : by + ")")};
    }
    if (code == ETXTBSY) {
        return refuse(device_guard::held, path, code).value();
    }
    return refuse(writable ? device_guard::read_only : device_guard::missing, path, code).value();
}

/// Keeps a second Seedbed away from a regular file, for as long as \p fd is open.
result<void, device_refusal> lock_file(std::string const& path, int fd, bool writable) {
    while (::flock(fd, (writable ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return refuse(device_guard::held, path, "locked by another program");
        }
        if (errno != EINTR) {
            return refuse(device_guard::held, path, "can not be locked: " + errno_error("flock", errno).message);
        }
    }
    return {};
}

} // namespace

char const* to_string(device_guard guard) noexcept {
    switch (guard) {
    case device_guard::missing:
        return "missing";
    case device_guard::wrong_type:
        return "wrong_type";
    case device_guard::mounted:
        return "mounted";
    case device_guard::swap:
        return "swap";
    case device_guard::held:
        return "held";
    case device_guard::read_only:
        return "read_only";
    case device_guard::too_small:
        return "too_small";
    case device_guard::sector_size:
        return "sector_size";
    case device_guard::wrong_identity:
        return "wrong_identity";
    }
    return "unknown";
}

namespace {

/// A device that has passed every guard that can be asked without opening it for use.
struct checked_device {
    looked_at device;
    std::vector<dev_t> related; ///< devices that share its bytes
    bool mounted = false;       ///< as it may be
};

result<checked_device, device_refusal> check_guards(std::string const& path, device_requirements const& requirements) {
    auto device = look_at(path);
    if (!device) {
        return tl::make_unexpected(device.error());
    }
    checked_device checked;
    checked.device = std::move(*device);
    if (checked.device.geometry.is_block_device) {
        checked.related = devices_sharing_bytes(checked.device.st.st_rdev);
    }
    if (auto const identity = check_identity(path, checked.device, requirements); !identity) {
        return tl::make_unexpected(identity.error());
    }
    auto const mounted = check_in_use(path, checked.device, checked.related, requirements);
    if (!mounted) {
        return tl::make_unexpected(mounted.error());
    }
    if (auto const capability = check_capability(path, checked.device.geometry, requirements); !capability) {
        return tl::make_unexpected(capability.error());
    }
    checked.mounted = *mounted;
    return checked;
}

} // namespace

result<void, device_refusal> check_block_device(std::string const& path, device_requirements const& requirements) {
    return check_guards(path, requirements).map([](checked_device const&) {});
}

result<std::unique_ptr<block_device>, device_refusal> open_block_device(std::string const& path,
                                                                        device_requirements const& requirements) {
    auto const checked = check_guards(path, requirements);
    if (!checked) {
        return tl::make_unexpected(checked.error());
    }
    auto const& device = checked->device;
    bool const is_block = device.geometry.is_block_device;

    // O_EXCL decides: what is mounted or taken between the checks above and here makes it fail.
    int const access = requirements.writable ? O_RDWR : O_RDONLY;
    bool const exclusive = is_block && !checked->mounted && !requirements.shared;
    unique_fd fd(::open(path.c_str(), access | O_CLOEXEC | (exclusive ? O_EXCL : 0)));
    if (!fd) {
        return tl::make_unexpected(open_refusal(path, checked->related, requirements.writable, errno));
    }
    struct ::stat opened = {};
    if (::fstat(fd.get(), &opened) != 0) {
        return refuse(device_guard::missing, path, errno);
    }
    if (!same_file(device.st, opened)) {
        return refuse(device_guard::missing, path, "became another file while it was opened");
    }
    if (!is_block) {
        if (auto const locked = lock_file(path, fd.get(), requirements.writable); !locked) {
            return tl::make_unexpected(locked.error());
        }
    }
    if (requirements.writable) {
        if (int const code = settle(fd.get()); code != 0) {
            return refuse(device_guard::missing, path, code);
        }
    }
    // By its number and not by its name, which can mean another file by now.
    auto const again = "/proc/self/fd/" + std::to_string(fd.get());
    unique_fd write_back;
    if (requirements.writable) {
        write_back.reset(::open(again.c_str(), access | O_CLOEXEC));
        if (!write_back) {
            return refuse(device_guard::missing, path, errno);
        }
    }
    unique_fd direct;
    if (requirements.direct_io) {
        // Refused by some file systems: the page cache does then.
        direct.reset(::open(again.c_str(), access | O_DIRECT | O_CLOEXEC));
        if (direct) {
            // Only edges go through the page cache: what the kernel read ahead there would soon be stale.
            static_cast<void>(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_RANDOM));
        }
    }
    return std::make_unique<file_block_device>(path, std::move(fd), std::move(write_back), std::move(direct),
                                               device.geometry, requirements.writable);
}

result<device_geometry, device_refusal> query_device_geometry(std::string const& path) {
    auto const device = look_at(path);
    if (!device) {
        return tl::make_unexpected(device.error());
    }
    return device->geometry;
}

} // namespace seedbed
