#include "daemon/fleet/hook.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "core/foundation/unique_fd.hpp"
#include "support/loop_device.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using Catch::Contains;
using seedbed::test::temp_dir;

namespace {

std::string content(std::filesystem::path const& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// Runs /bin/sh -c SCRIPT to its end.
hook_outcome run(std::string const& script, std::string const& input = "", std::chrono::milliseconds timeout = 20s) {
    boost::asio::io_context context;
    hook_runner hooks(context);
    std::optional<hook_outcome> ended;
    hooks.run({"/bin/sh", "-c", script}, input, timeout, [&](hook_outcome const& outcome) { ended = outcome; });
    CHECK_FALSE(ended);
    context.run();
    REQUIRE(ended);
    CHECK(hooks.running() == 0);
    return *ended;
}

} // namespace

TEST_CASE("hook: the document is on its standard input, whatever its size, read or not", "[hook]") {
    temp_dir const folder;
    std::string const document(1'000'000, 'x');
    auto const copy = (folder / "copy").string();
    auto const outcome = run("cat >" + copy, document);
    CHECK(outcome.ok());
    CHECK(content(copy) == document);
    CHECK(run("exit 0", document).ok());
}

TEST_CASE("hook: the exit status and the last line of standard error are reported", "[hook]") {
    auto const outcome = run("echo out; echo one >&2; echo 'two \033[31m' >&2; echo >&2; exit 3");
    CHECK_FALSE(outcome.ok());
    CHECK(outcome.exit_status == 3);
    CHECK(outcome.last_line == "two ?[31m");
    CHECK_THAT(outcome.text(), Contains("exit status 3 after ") && Contains("s: two ?[31m"));
    CHECK(run("head -c 300000 /dev/zero | tr '\\0' y >&2; printf '\\nend' >&2").last_line == "end");
    CHECK(run("kill -9 $$").signal == SIGKILL);
}

TEST_CASE("hook: a program that cannot be started is reported", "[hook]") {
    boost::asio::io_context context;
    hook_runner hooks(context);
    std::optional<hook_outcome> ended;
    hooks.run({"/nonexistent/hook", "x"}, "", 1s, [&](hook_outcome const& outcome) { ended = outcome; });
    CHECK_FALSE(ended);
    context.run();
    REQUIRE(ended);
    CHECK_FALSE(ended->ok());
    CHECK(ended->text() == "not started: /nonexistent/hook: No such file or directory (ENOENT)");
}

TEST_CASE("hook: a program that takes too long is killed with its children", "[hook]") {
    temp_dir const folder;
    auto const path = (folder / "pipe").string();
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    unique_fd const pipe(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(pipe);
    auto const began = std::chrono::steady_clock::now();
    auto const outcome = run("exec 3>" + path + "; sleep 100 & sleep 100", "", 100ms);
    CHECK(outcome.timed_out);
    CHECK(outcome.signal == SIGTERM);
    CHECK_THAT(outcome.text(), Contains("timed out: killed by signal 15 after "));
    CHECK(std::chrono::steady_clock::now() - began < 60s);
    // The children have inherited the pipe: when all of them have ended, it has no writer.
    char byte = 0;
    pollfd end{pipe.get(), POLLIN, 0};
    CHECK((::read(pipe.get(), &byte, 1) == 0 || ::poll(&end, 1, 20'000) == 1));
}

TEST_CASE("hook: it inherits no signals, descriptors or service manager's variables from the daemon", "[hook]") {
    temp_dir const folder;
    auto const out = (folder / "out").string();
    unique_fd const leak(::open("/dev/null", O_RDONLY)); // without close-on-exec, like Asio's sockets
    REQUIRE(leak);
    ::setenv("NOTIFY_SOCKET", "/run/x", 1);
    ::setenv("SEEDBED_TEST", "kept", 1);
    auto const before = std::signal(SIGPIPE, SIG_IGN);
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGTERM);
    sigset_t old;
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &blocked, &old) == 0);
    // Read by the shell itself: it blocks all signals for a moment when it starts a program.
    auto const outcome =
        run("{ ls /proc/self/fd | wc -l; while read -r line; do case $line in Sig[BI]*) echo \"$line\";; "
            "esac; done </proc/$$/status; "
            "echo \"notify=$NOTIFY_SOCKET test=$SEEDBED_TEST\"; ps -o pgid= -p $$; echo $$; } >" +
            out + " 2>&1");
    REQUIRE(::pthread_sigmask(SIG_SETMASK, &old, nullptr) == 0);
    static_cast<void>(std::signal(SIGPIPE, before));
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("SEEDBED_TEST");
    CHECK(outcome.ok());
    auto const said = content(out);
    INFO(said);
    CHECK(said.starts_with("4\n")); // 0, 1, 2 and ls's own descriptor of the folder
    CHECK_THAT(said, Contains("SigBlk:\t0000000000000000"));
    // Except for the two signals that glibc reserves and ignores.
    auto const ignored = std::stoull(said.substr(said.find("SigIgn:") + 7), nullptr, 16);
    CHECK((ignored & ~0x180000000ULL) == 0);
    CHECK_THAT(said, Contains("notify= test=kept"));
}

TEST_CASE("hook: it cannot open disks by any name, although the daemon can", "[hook]") {
    if (auto const missing = seedbed::test::loop_devices_missing()) {
        WARN("SKIPPED: " + *missing);
        return;
    }
    seedbed::test::loop_device const disk;
    temp_dir const folder;
    unique_fd const open_here(::open(disk.path().c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(open_here);
    auto const opens = [](std::string const& path) { return run("exec 3<" + path).ok(); };
    auto const outcome = run("exec 3<" + disk.path());
    if (!outcome.unconfined.empty()) {
        WARN("SKIPPED: " + outcome.unconfined);
        return;
    }
    CHECK_THAT(outcome.text(), Contains("Permission denied"));
    CHECK_FALSE(run("exec 3>>" + disk.path()).ok());
    CHECK_FALSE(opens("/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(open_here.get())));
    CHECK_FALSE(run("mknod " + (folder / "disk").string() + " b 7 0").ok());
    // Everything else is as it was.
    CHECK(opens("/dev/null"));
    CHECK(opens("/dev/stdin"));
    CHECK(opens("/etc/passwd"));
    CHECK(run("echo data >" + (folder / "file").string()).ok());
    CHECK(content(folder / "file") == "data\n");
    CHECK(unique_fd(::open(disk.path().c_str(), O_RDWR | O_CLOEXEC)));
}

TEST_CASE("hook: several run at once, and other children are not reaped", "[hook]") {
    boost::asio::io_context context;
    hook_runner hooks(context);
    int ended = 0;
    for (int i = 0; i < 5; ++i) {
        hooks.run({"/bin/sh", "-c", "exit " + std::to_string(i)}, "", 20s, [&ended, i](hook_outcome const& outcome) {
            CHECK(outcome.exit_status == i);
            ++ended;
        });
    }
    CHECK(hooks.running() == 5);
    auto const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::_exit(7);
    }
    context.run();
    CHECK(ended == 5);
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("hook: a stop kills running programs, and so does the runner's destructor", "[hook]") {
    boost::asio::io_context context;
    std::optional<hook_outcome> ended;
    auto const sleeping = [&](hook_runner& hooks) {
        hooks.run({"/bin/sleep", "100"}, "", 100s, [&](hook_outcome const& outcome) { ended = outcome; });
    };
    {
        hook_runner hooks(context);
        sleeping(hooks);
        hooks.stop();
        context.run();
        REQUIRE(ended);
        CHECK(ended->signal == SIGTERM);
        ended.reset();
        sleeping(hooks);
    }
    context.restart();
    context.run();
    CHECK_FALSE(ended);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1); // no child is left
}
