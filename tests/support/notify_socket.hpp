#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch.hpp>

#include "core/foundation/unique_fd.hpp"

namespace seedbed::test {

/// Sets or removes an environment variable until the end of the scope.
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

/// The manager's end of the protocol: a datagram socket at a path, or in the abstract namespace if the address
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

    /// Every message since the last call.
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

/// Removes the variables of sd_notify(3) and sd_watchdog_enabled(3), as if not run by a service manager.
struct no_service {
    scoped_variable socket{"NOTIFY_SOCKET", std::nullopt};
    scoped_variable interval{"WATCHDOG_USEC", std::nullopt};
    scoped_variable process{"WATCHDOG_PID", std::nullopt};
};

} // namespace seedbed::test
