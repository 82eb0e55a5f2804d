#include "daemon/service/service_notify.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "core/foundation/unique_fd.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using seedbed::test::temp_dir;

namespace {

/// Sets a variable of the environment, or takes it out, until the end of the scope.
class scoped_variable {
public:
    scoped_variable(char const* name, std::optional<std::string> const& value)
        : m_name(name) {
        if (auto const* before = std::getenv(name)) {
            m_before = before;
        }
        set(value);
    }
    scoped_variable(scoped_variable const&) = delete;
    scoped_variable& operator=(scoped_variable const&) = delete;
    ~scoped_variable() { set(m_before); }

private:
    void set(std::optional<std::string> const& value) const {
        if (value) {
            ::setenv(m_name, value->c_str(), 1);
        } else {
            ::unsetenv(m_name);
        }
    }

    char const* m_name;
    std::optional<std::string> m_before;
};

/// The manager's end of the protocol: a datagram socket at a path, or in the abstract namespace where the address
/// begins with '@'.
class notify_socket {
public:
    explicit notify_socket(std::string const& address)
        : m_fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        REQUIRE(address.size() < sizeof(name.sun_path));
        std::memcpy(name.sun_path, address.data(), address.size());
        if (address.front() == '@') {
            name.sun_path[0] = '\0';
        }
        auto const length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
        REQUIRE(::bind(m_fd.get(), reinterpret_cast<sockaddr const*>(&name), length) == 0);
    }

    /// Every message that came since the last call.
    std::vector<std::string> messages() {
        std::vector<std::string> all;
        std::string buffer(4096, '\0');
        for (ssize_t n = 0; (n = ::recv(m_fd.get(), buffer.data(), buffer.size(), 0)) >= 0;) {
            all.emplace_back(buffer.data(), static_cast<std::size_t>(n));
        }
        return all;
    }

private:
    unique_fd m_fd;
};

/// What goes to standard error while \p body runs.
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

/// The variables of sd_notify(3) and sd_watchdog_enabled(3) as they are outside of a service.
struct no_service {
    scoped_variable socket{"NOTIFY_SOCKET", std::nullopt};
    scoped_variable interval{"WATCHDOG_USEC", std::nullopt};
    scoped_variable process{"WATCHDOG_PID", std::nullopt};
};

} // namespace

TEST_CASE("notifications reach the manager's socket, by path and by abstract address") {
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

TEST_CASE("a status is sent only where it differs from the last one") {
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

    notify.ready("c"); // ends a reload: never left out
    CHECK(manager.messages() == strings{"READY=1\nSTATUS=c"});
}

TEST_CASE("a newline in a status does not make an assignment of its own") {
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

TEST_CASE("without a manager nothing is sent and nothing is said") {
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

TEST_CASE("a manager that can not be reached is one warning") {
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

TEST_CASE("the watchdog's timeout is the one that is meant for this process") {
    no_service const clean;
    CHECK_FALSE(service_notify().watchdog_timeout());

    scoped_variable const interval("WATCHDOG_USEC", "30000000");
    CHECK(service_notify().watchdog_timeout() == std::chrono::seconds(30)); // no WATCHDOG_PID: anyone's
    {
        scoped_variable const process("WATCHDOG_PID", std::to_string(::getpid()));
        CHECK(service_notify().watchdog_timeout() == std::chrono::seconds(30));
    }
    {
        scoped_variable const process("WATCHDOG_PID", std::to_string(::getpid() + 1));
        CHECK_FALSE(service_notify().watchdog_timeout());
    }
}

TEST_CASE("a watchdog variable that is no number is a warning and no watchdog") {
    no_service const clean;
    scoped_variable const interval("WATCHDOG_USEC", "soon");
    std::optional<std::chrono::microseconds> timeout;
    auto const text = stderr_of([&timeout] { timeout = service_notify().watchdog_timeout(); });
    INFO(text);
    CHECK_FALSE(timeout);
    CHECK(text.find("warning the service manager's watchdog: Invalid argument, ignoring\n") != std::string::npos);
}
