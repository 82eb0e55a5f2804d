#include "daemon/service/service_notify.hpp"

#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "core/foundation/unique_fd.hpp"
#include "support/notify_socket.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

/// The standard error output of \p body.
template <typename Body>
std::string stderr_of(Body const& body) {
    unique_fd const file(::memfd_create("stderr", MFD_CLOEXEC));
    unique_fd const before(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    REQUIRE((file && before));
    ::dup2(file.get(), STDERR_FILENO);
    body();
    ::dup2(before.get(), STDERR_FILENO);
    std::string text(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
    REQUIRE(::pread(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    return text;
}

long long monotonic_microseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000LL + now.tv_nsec / 1'000;
}

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("notifications reach the manager's socket by path and by abstract address") {
    temp_dir const dir;
    no_service const clean;
    bool const abstract = GENERATE(false, true);
    auto const address = abstract ? "@seedbed-test-notify-" + std::to_string(::getpid()) : std::string(dir / "notify");
    notify_socket manager(address);
    scoped_variable const variable("NOTIFY_SOCKET", address);

    service_notify notify;
    CHECK(manager.messages().empty());
    notify.ready("seeding 2 images");
    CHECK(manager.messages() == strings{"READY=1\nSTATUS=seeding 2 images"});
    notify.feed_watchdog();
    CHECK(manager.messages() == strings{"WATCHDOG=1"});
    notify.stopping("flushing");
    CHECK(manager.messages() == strings{"STOPPING=1\nSTATUS=flushing"});
}

TEST_CASE("a status is sent only if it differs from the last one") {
    temp_dir const dir;
    no_service const clean;
    auto const address = (dir / "notify").string();
    notify_socket manager(address);
    scoped_variable const variable("NOTIFY_SOCKET", address);

    service_notify notify;
    notify.ready("a");
    notify.status("a");
    notify.status("b");
    notify.status("b");
    notify.status("a");
    notify.stopping("c");
    notify.status("c");
    CHECK(manager.messages() == strings{"READY=1\nSTATUS=a", "STATUS=b", "STATUS=a", "STOPPING=1\nSTATUS=c"});

    notify.ready("c"); // ends a reload: always sent
    CHECK(manager.messages() == strings{"READY=1\nSTATUS=c"});
}

TEST_CASE("a newline in a status starts no new assignment") {
    temp_dir const dir;
    no_service const clean;
    auto const address = (dir / "notify").string();
    notify_socket manager(address);
    scoped_variable const variable("NOTIFY_SOCKET", address);

    service_notify notify;
    notify.status("a\nMAINPID=1");
    notify.ready("a\nMAINPID=2");
    notify.stopping("a\nMAINPID=3");
    CHECK(manager.messages() ==
          strings{"STATUS=a MAINPID=1", "READY=1\nSTATUS=a MAINPID=2", "STOPPING=1\nSTATUS=a MAINPID=3"});
}

TEST_CASE("a reload carries the monotonic time at which it began") {
    temp_dir const dir;
    no_service const clean;
    auto const address = (dir / "notify").string();
    notify_socket manager(address);
    scoped_variable const variable("NOTIFY_SOCKET", address);

    service_notify notify;
    auto const before = monotonic_microseconds();
    notify.reloading();
    auto const after = monotonic_microseconds();
    auto const messages = manager.messages();
    REQUIRE(messages.size() == 1);
    std::string const start = "RELOADING=1\nMONOTONIC_USEC=";
    REQUIRE(messages[0].substr(0, start.size()) == start);
    auto const time = messages[0].substr(start.size());
    REQUIRE(time.find_first_not_of("0123456789") == std::string::npos);
    CHECK(std::stoll(time) >= before);
    CHECK(std::stoll(time) <= after);
}

TEST_CASE("without a manager nothing is sent or logged") {
    no_service const clean;
    auto const text = stderr_of([] {
        service_notify notify;
        notify.ready("a");
        notify.status("b");
        notify.reloading();
        notify.feed_watchdog();
        notify.stopping("c");
    });
    CHECK(text.empty());
}

TEST_CASE("an unreachable manager causes one warning") {
    temp_dir const dir;
    no_service const clean;
    scoped_variable const variable("NOTIFY_SOCKET", (dir / "nobody").string());
    auto const text = stderr_of([] {
        service_notify notify;
        notify.ready("a");
        notify.status("b");
        notify.stopping("c");
    });
    INFO(text);
    CHECK(text.find("warning notifying the service manager: No such file or directory, ignoring\n") !=
          std::string::npos);
    CHECK(text.find('\n') == text.size() - 1);
}

TEST_CASE("the watchdog's timeout counts if it is meant for this process") {
    no_service const clean;
    CHECK_FALSE(service_notify().watchdog_timeout());

    scoped_variable const interval("WATCHDOG_USEC", "30000000");
    CHECK(service_notify().watchdog_timeout() == std::chrono::seconds(30)); // no WATCHDOG_PID: any process
    {
        scoped_variable const process("WATCHDOG_PID", std::to_string(::getpid()));
        CHECK(service_notify().watchdog_timeout() == std::chrono::seconds(30));
    }
    {
        scoped_variable const process("WATCHDOG_PID", std::to_string(::getpid() + 1));
        CHECK_FALSE(service_notify().watchdog_timeout());
    }
}

TEST_CASE("an invalid watchdog variable causes a warning and no watchdog") {
    no_service const clean;
    scoped_variable const interval("WATCHDOG_USEC", "soon");
    std::optional<std::chrono::microseconds> timeout;
    auto const text = stderr_of([&timeout] { timeout = service_notify().watchdog_timeout(); });
    INFO(text);
    CHECK_FALSE(timeout);
    CHECK(text.find("warning the service manager's watchdog: Invalid argument, ignoring\n") != std::string::npos);
}
