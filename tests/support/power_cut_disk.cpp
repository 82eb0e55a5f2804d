#include "support/power_cut_disk.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <set>
#include <span>
#include <thread>
#include <utility>

namespace seedbed::test {

namespace {

constexpr std::int64_t sector = 512;

} // namespace

/// Forwards to the disk.
class power_cut_disk::device final : public block_device {
public:
    device(power_cut_disk& disk, std::string path)
        : m_disk(disk)
        , m_path(std::move(path))
        , m_size(static_cast<std::int64_t>(disk.m_medium.size())) {}

    [[nodiscard]] std::string const& path() const noexcept override { return m_path; }
    [[nodiscard]] std::int64_t size() const noexcept override { return m_size; }
    [[nodiscard]] bool read_only() const noexcept override { return false; }

    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) override {
        return outcome(io_operation::read, offset, buffer.size(),
                       m_disk.read(m_disk.m_contents, offset, buffer, false));
    }
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override {
        return outcome(io_operation::read, offset, buffer.size(), m_disk.read(m_disk.m_medium, offset, buffer, true));
    }
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) override {
        for (auto const& part : memory) {
            if (auto done = read(offset, {static_cast<std::byte*>(part.iov_base), part.iov_len}); !done) {
                return done;
            }
            offset += static_cast<std::int64_t>(part.iov_len);
        }
        return {};
    }
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) override {
        return outcome(io_operation::write, offset, buffer.size(),
                       m_disk.write(offset, {buffer.begin(), buffer.end()}));
    }
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<iovec const> memory) override {
        std::vector<std::byte> joined;
        for (auto const& part : memory) {
            auto const* const begin = static_cast<std::byte const*>(part.iov_base);
            joined.insert(joined.end(), begin, begin + part.iov_len);
        }
        return write(offset, std::span<std::byte const>(joined));
    }
    [[nodiscard]] result<void, io_error> flush() override { return outcome(io_operation::flush, 0, 0, m_disk.flush()); }

private:
    [[nodiscard]] result<void, io_error> outcome(io_operation what, std::int64_t offset, std::size_t length,
                                                 int code) const {
        if (code == 0) {
            return {};
        }
        return tl::unexpected(io_error{what, m_path, offset, static_cast<std::int64_t>(length), code});
    }

    power_cut_disk& m_disk;
    std::string const m_path;
    std::int64_t const m_size;
};

power_cut_disk::power_cut_disk(std::vector<std::byte> content, std::uint32_t seed)
    : m_contents(content)
    , m_medium(std::move(content))
    , m_random(seed) {}

void power_cut_disk::power_on(int steps, loss how, std::function<void()> on_end) {
    std::scoped_lock const lock(m_mutex);
    m_steps_left = steps;
    m_steps_from_write = 0;
    m_loss = how;
    m_on_end = std::move(on_end);
    m_ended = false;
}

std::unique_ptr<block_device> power_cut_disk::open(std::string path) {
    return std::make_unique<device>(*this, std::move(path));
}

void power_cut_disk::end_after(int steps) {
    std::scoped_lock const lock(m_mutex);
    m_steps_left = steps;
}

void power_cut_disk::end_after_write(int steps) {
    std::scoped_lock const lock(m_mutex);
    m_steps_from_write = steps;
}

void power_cut_disk::end_now(loss how) {
    std::scoped_lock const lock(m_mutex);
    if (!m_ended) {
        m_loss = how;
        end_locked();
    }
}

bool power_cut_disk::ended() const {
    std::scoped_lock const lock(m_mutex);
    return m_ended;
}

int power_cut_disk::steps_left() const {
    std::scoped_lock const lock(m_mutex);
    return m_steps_left;
}

std::vector<std::byte> power_cut_disk::contents() const {
    std::scoped_lock const lock(m_mutex);
    return m_contents;
}

std::vector<std::byte> power_cut_disk::medium() const {
    std::scoped_lock const lock(m_mutex);
    return m_medium;
}

int power_cut_disk::damaged_writes() const {
    std::scoped_lock const lock(m_mutex);
    return m_damaged;
}

bool power_cut_disk::step_locked() {
    if (!m_ended && m_steps_left > 0 && --m_steps_left == 0) {
        end_locked();
    }
    return !m_ended;
}

void power_cut_disk::end_locked() {
    m_ended = true;
    if (m_loss == loss::by_kill) {
        std::erase_if(m_unflushed, [](entry const& write) { return !write.ended; });
    } else {
        for (auto it = m_unflushed.begin(); it != m_unflushed.end(); ++it) {
            keep_locked(*it, std::next(it) == m_unflushed.end());
        }
        m_unflushed.clear();
        m_contents = m_medium;
    }
    if (m_on_end) {
        m_on_end();
    }
}

void power_cut_disk::keep_locked(entry const& write, bool last) {
    auto const end = write.offset + static_cast<std::int64_t>(write.bytes.size());
    auto const keeps = m_random() % 2 == 0;                   // the whole write
    auto const kept = std::array{1U, 4U, 7U}[m_random() % 3]; // sectors of eight
    bool damaged = false;
    bool torn = false;
    for (auto at = write.offset; at < end;) {
        auto const next = std::min(end, (at / sector + 1) * sector);
        torn = torn || (last && m_random() % 8 == 0);
        bool const remains = m_loss == loss::nothing || (m_loss == loss::whole_writes && keeps) ||
                             (m_loss == loss::sectors && m_random() % 8 < kept) || (m_loss == loss::torn_last && !torn);
        if (remains) {
            std::copy(write.bytes.begin() + (at - write.offset), write.bytes.begin() + (next - write.offset),
                      m_medium.begin() + at);
        }
        damaged = damaged || !remains;
        at = next;
    }
    m_damaged += damaged ? 1 : 0;
}

int power_cut_disk::read(std::vector<std::byte> const& source, std::int64_t offset, std::span<std::byte> buffer,
                         bool counts) {
    std::scoped_lock const lock(m_mutex);
    if (counts ? !step_locked() : m_ended) {
        return EIO;
    }
    std::copy_n(source.begin() + offset, buffer.size(), buffer.begin());
    return 0;
}

int power_cut_disk::write(std::int64_t offset, std::vector<std::byte> bytes) {
    std::unique_lock lock(m_mutex);
    if (m_steps_from_write > 0) {
        m_steps_left = std::exchange(m_steps_from_write, 0);
    }
    if (!step_locked()) {
        return EIO;
    }
    auto const mine = m_unflushed.insert(m_unflushed.end(), {++m_last, offset, std::move(bytes), false});
    lock.unlock();
    std::this_thread::yield(); // others write or flush meanwhile
    lock.lock();
    if (!step_locked()) {
        return EIO; // mine is gone
    }
    std::ranges::copy(mine->bytes, m_contents.begin() + offset);
    mine->ended = true;
    return 0;
}

int power_cut_disk::flush() {
    std::unique_lock lock(m_mutex);
    if (!step_locked()) {
        return EIO;
    }
    std::set<std::uint64_t> covered;
    for (auto const& write : m_unflushed) {
        if (write.ended) {
            covered.insert(write.number);
        }
    }
    lock.unlock();
    std::this_thread::yield(); // writes that end now are not covered
    lock.lock();
    if (!step_locked()) {
        return EIO; // so are those that it would have covered
    }
    std::erase_if(m_unflushed, [&](entry const& write) {
        if (!covered.contains(write.number)) {
            return false;
        }
        std::ranges::copy(write.bytes, m_medium.begin() + write.offset);
        return true;
    });
    return 0;
}

} // namespace seedbed::test
