#include "core/device/full_transfer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

/// A system call that reads the numbers 0, 1, 2 and so on; the test sets the outcome of each call.
class scripted_read {
public:
    struct step {
        ssize_t bytes; ///< transferred bytes; -1 fails
        int code = 0;  ///< errno if it fails
    };
    using asked = std::pair<std::size_t, std::int64_t>; ///< count and offset

    explicit scripted_read(std::deque<step> script)
        : m_steps(std::move(script)) {}

    ssize_t operator()(std::byte* to, std::size_t count, std::int64_t at) {
        calls.emplace_back(count, at);
        REQUIRE_FALSE(m_steps.empty());
        auto const [bytes, code] = m_steps.front();
        m_steps.pop_front();
        if (bytes < 0) {
            errno = code;
            return -1;
        }
        REQUIRE(static_cast<std::size_t>(bytes) <= count);
        for (ssize_t i = 0; i < bytes; ++i) {
            to[i] = static_cast<std::byte>(at + i);
        }
        return bytes;
    }

    std::vector<asked> calls;

private:
    std::deque<step> m_steps;
};

using asked_list = std::vector<scripted_read::asked>;
using steps = std::deque<scripted_read::step>;

std::array<std::byte, 10> numbers_from(int first) {
    std::array<std::byte, 10> bytes{};
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(first++); });
    return bytes;
}

} // namespace

TEST_CASE("a complete transfer takes one call") {
    scripted_read read(steps{{10}});
    std::array<std::byte, 10> buffer{};
    CHECK(transfer_fully(read, 50, std::span<std::byte>(buffer)) == 0);
    CHECK(read.calls == asked_list{{10, 50}});
    CHECK(buffer == numbers_from(50));
}

TEST_CASE("a short transfer is continued where it ended") {
    scripted_read read(steps{{3}, {1}, {6}});
    std::array<std::byte, 10> buffer{};
    CHECK(transfer_fully(read, 50, std::span<std::byte>(buffer)) == 0);
    CHECK(read.calls == asked_list{{10, 50}, {7, 53}, {6, 54}});
    CHECK(buffer == numbers_from(50));
}

TEST_CASE("EINTR is retried, at the start and in the middle") {
    scripted_read read(steps{{-1, EINTR}, {-1, EINTR}, {4}, {-1, EINTR}, {6}});
    std::array<std::byte, 10> buffer{};
    CHECK(transfer_fully(read, 0, std::span<std::byte>(buffer)) == 0);
    CHECK(read.calls == asked_list{{10, 0}, {10, 0}, {10, 0}, {6, 4}, {6, 4}});
    CHECK(buffer == numbers_from(0));
}

TEST_CASE("a call without progress is EIO, whatever the previous errno") {
    std::array<std::byte, 10> buffer{};
    errno = EINTR;
    scripted_read at_once(steps{{0}});
    CHECK(transfer_fully(at_once, 0, std::span<std::byte>(buffer)) == EIO);
    CHECK(at_once.calls.size() == 1);
    scripted_read after_some(steps{{4}, {0}});
    CHECK(transfer_fully(after_some, 0, std::span<std::byte>(buffer)) == EIO);
    CHECK(after_some.calls.size() == 2);
}

TEST_CASE("any other failure ends the transfer with its errno") {
    std::array<std::byte, 10> buffer{};
    scripted_read at_once(steps{{-1, ENOSPC}});
    CHECK(transfer_fully(at_once, 0, std::span<std::byte>(buffer)) == ENOSPC);
    scripted_read after_some(steps{{4}, {-1, EAGAIN}});
    CHECK(transfer_fully(after_some, 0, std::span<std::byte>(buffer)) == EAGAIN);
    CHECK(after_some.calls == asked_list{{10, 0}, {6, 4}});
}

TEST_CASE("nothing to transfer takes no call") {
    scripted_read read(steps{});
    CHECK(transfer_fully(read, 50, std::span<std::byte>()) == 0);
    CHECK(read.calls.empty());
}

TEST_CASE("a short write is continued likewise, also beyond 4 GiB") {
    auto const bytes = numbers_from(1);
    std::vector<std::byte> written;
    std::int64_t const start = (std::int64_t{1} << 32) - 4;
    std::int64_t expected = start;
    auto const write = [&](std::byte const* from, std::size_t count, std::int64_t at) -> ssize_t {
        REQUIRE(at == expected);
        auto const n = std::min<std::size_t>(count, 3);
        written.insert(written.end(), from, from + n);
        expected += static_cast<std::int64_t>(n);
        return static_cast<ssize_t>(n);
    };
    CHECK(transfer_fully(write, start, std::span<std::byte const>(bytes)) == 0);
    CHECK(std::ranges::equal(written, bytes));
}
