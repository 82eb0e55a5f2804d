#include "daemon/log/logging.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "core/foundation/unique_fd.hpp"
#include "daemon/log/journal_entry.hpp"

using namespace seedbed;

namespace {

using strings = std::vector<std::string>;

constexpr char const* journal_socket = "/run/systemd/journal/socket";

struct child_result {
    int status = -1;
    std::string err; ///< what it wrote on standard error
    std::string out; ///< what its body returned
};

/// Ends a child: this machine does not allow what the test requires.
struct not_possible {
    std::string why;
};
constexpr int exit_skipped = 77;

/// Reads to the end, which is EIO on a terminal.
std::string read_all(int fd) {
    std::string text;
    std::string buffer(4096, '\0');
    for (;;) {
        auto const n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return text;
        }
        text.append(buffer, 0, static_cast<std::size_t>(n));
    }
}

/// Runs \p body, which returns a string, in a child whose standard error is \p writer: a logger, an environment and a
/// mount namespace of its own. If both pipes are used, the output must fit into one.
template <typename Body>
child_result in_child(unique_fd reader, unique_fd writer, Body const& body) {
    int out[2]{};
    REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
    unique_fd const out_reader(out[0]);
    unique_fd out_writer(out[1]);
    auto const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int code = 0;
        std::string result;
        ::dup2(writer.get(), STDERR_FILENO);
        writer.reset();
        reader.reset();
        ::unsetenv("JOURNAL_STREAM");
        try {
            result = body();
        } catch (not_possible const& e) {
            code = exit_skipped;
            result = e.why;
        } catch (std::exception const& e) {
            code = 1;
            result = e.what();
        }
        if (::write(out_writer.get(), result.data(), result.size()) != static_cast<ssize_t>(result.size())) {
            code = 1;
        }
        ::_exit(code); // the parent's atexit handlers and Catch's report are not the child's
    }
    writer.reset();
    out_writer.reset();
    child_result result;
    result.err = read_all(reader.get());
    result.out = read_all(out_reader.get());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

template <typename Body>
child_result in_child(Body const& body) {
    int err[2]{};
    REQUIRE(::pipe2(err, O_CLOEXEC) == 0);
    return in_child(unique_fd(err[0]), unique_fd(err[1]), body);
}

/// Does \p line begin with "2026-11-25 10:11:12.123 "?
bool begins_with_time(std::string const& line) {
    std::string const shape = "0000-00-00 00:00:00.000 ";
    auto start = line.substr(0, shape.size());
    for (auto& c : start) {
        c = c >= '0' && c <= '9' ? '0' : c;
    }
    return start == shape;
}

/// The lines of \p text without the times that must precede them; the last line ends with a newline, too.
strings without_times(std::string const& text) {
    strings lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        INFO(line);
        CHECK(begins_with_time(line));
        lines.push_back(line.substr(std::min<std::size_t>(line.size(), 24)));
    }
    CHECK((text.empty() || text.back() == '\n'));
    return lines;
}

/// The lines that \p body writes to standard error.
template <typename Body>
strings lines_of(Body const& body) {
    auto const result = in_child([&body] {
        body();
        return std::string();
    });
    INFO(result.out << result.err);
    CHECK(result.status == 0);
    return without_times(result.err);
}

bool skipped(child_result const& result) {
    if (result.status == exit_skipped) {
        WARN("skipped: " << result.out);
        return true;
    }
    return false;
}

void require(bool ok, char const* what) {
    if (!ok) {
        throw std::system_error(errno, std::generic_category(), what);
    }
}

/// Gives the calling process, which has one thread, its own empty /run.
void enter_empty_run() {
    auto const user = std::to_string(::getuid());
    auto const group = std::to_string(::getgid());
    if (::unshare(CLONE_NEWNS) != 0) {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
            throw not_possible{"unshare: " + std::generic_category().message(errno)};
        }
        std::ofstream("/proc/self/setgroups") << "deny";
        std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
        std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
    }
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) {
        throw not_possible{"mount: " + std::generic_category().message(errno)};
    }
}

/// Binds a socket at journald's path; call it in an empty /run.
unique_fd bind_journal_socket() {
    std::filesystem::create_directories(std::filesystem::path(journal_socket).parent_path());
    unique_fd receiver(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    require(static_cast<bool>(receiver), "socket");
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strcpy(name.sun_path, journal_socket);
    require(::bind(receiver.get(), reinterpret_cast<sockaddr const*>(&name), sizeof(name)) == 0, "bind");
    return receiver;
}

std::string stderr_stream() {
    struct stat file {};
    require(::fstat(STDERR_FILENO, &file) == 0, "fstat");
    return std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino);
}

void set_journal_stream(std::string const& value) {
    require(::setenv("JOURNAL_STREAM", value.c_str(), 1) == 0, "setenv");
}

/// All datagrams that wait in \p receiver, in order.
std::string received(unique_fd const& receiver) {
    std::string all;
    std::string buffer(16384, '\0');
    for (ssize_t n = 0; (n = ::recv(receiver.get(), buffer.data(), buffer.size(), 0)) >= 0;) {
        all.append(buffer, 0, static_cast<std::size_t>(n)).append("--\n");
    }
    return all;
}

} // namespace

TEST_CASE("a journal entry has the given fields and no others") {
    CHECK(journal_entry(log_level::info, {}, "hello") ==
          strings{"MESSAGE=hello", "PRIORITY=6", "SYSLOG_IDENTIFIER=seedbed"});
    CHECK(journal_entry(log_level::error, {"sda1", "/dev/sda1", "10.0.0.1:6881"}, "a=b") ==
          strings{"MESSAGE=a=b", "PRIORITY=3", "SYSLOG_IDENTIFIER=seedbed", "SEEDBED_IMAGE=sda1",
                  "SEEDBED_DEVICE=/dev/sda1", "SEEDBED_PEER=10.0.0.1:6881"});
    CHECK(journal_entry(log_level::warning, {"", "", "[::1]:1"}, "") ==
          strings{"MESSAGE=", "PRIORITY=4", "SYSLOG_IDENTIFIER=seedbed", "SEEDBED_PEER=[::1]:1"});
    CHECK(journal_entry(log_level::debug, {}, "")[1] == "PRIORITY=7");
    CHECK(journal_entry(log_level::trace, {}, "")[1] == "PRIORITY=7");
}

TEST_CASE("a line has time, level and message, and no colour off a terminal") {
    CHECK(lines_of([] {
              start_logging(log_level::info);
              log_info({}, "hello {} %s");
              log_error({}, "bad");
          }) == strings{"info  hello {} %s", "error bad"});
}

TEST_CASE("a line on a terminal has a colour, unless it is a dumb one") {
    auto const on_terminal = [](char const* term) {
        unique_fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        REQUIRE(master);
        REQUIRE(::grantpt(master.get()) == 0);
        REQUIRE(::unlockpt(master.get()) == 0);
        char name[128]{};
        REQUIRE(::ptsname_r(master.get(), name, sizeof(name)) == 0);
        unique_fd terminal(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
        REQUIRE(terminal);
        return in_child(std::move(master), std::move(terminal), [term] {
            ::unsetenv("COLORTERM");
            ::setenv("TERM", term, 1);
            start_logging(log_level::info);
            log_warning({}, "hello");
            return std::string();
        });
    };
    auto const colour = on_terminal("xterm-256color");
    CHECK(colour.status == 0);
    INFO(colour.err);
    auto const level = colour.err.find("warning");
    REQUIRE(level != std::string::npos);
    CHECK(colour.err[level - 1] == 'm');
    CHECK(colour.err.find("\033[") == 24); // after the time
    CHECK(colour.err.substr(level) == "warning\033[m hello\r\n");

    auto const dumb = on_terminal("dumb");
    CHECK(dumb.status == 0);
    CHECK(dumb.err.find("warning hello") != std::string::npos);
    CHECK(dumb.err.find('\033') == std::string::npos);
}

TEST_CASE("the level decides which messages are written") {
    auto const all = [] {
        log_error({}, "1");
        log_warning({}, "2");
        log_info({}, "3");
        log_debug({}, "4");
        log(log_level::trace, {}, "5");
    };
    strings const expected{"error 1", "warning 2", "info  3", "debug 4", "trace 5"};
    std::size_t count = 0;
    for (auto level : {log_level::error, log_level::warning, log_level::info, log_level::debug, log_level::trace}) {
        ++count;
        strings const some(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(count));
        CHECK(lines_of([&] {
                  start_logging(level);
                  all();
              }) == some);
        CHECK(lines_of([&] {
                  start_logging(level == log_level::info ? log_level::error : log_level::info);
                  set_log_level(level);
                  all();
              }) == some);
    }
}

TEST_CASE("messages before the start go to standard error from info up") {
    CHECK(lines_of([] {
              log_debug({}, "no");
              log_info({"sda1", "", ""}, "yes");
          }) == strings{"info  sda1: yes"});
    CHECK(lines_of([] {
              set_log_level(log_level::debug);
              log_debug({}, "yes");
          }) == strings{"debug yes"});
}

TEST_CASE("a line begins with the image's name and shows neither device nor peer") {
    CHECK(lines_of([] {
              start_logging(log_level::info);
              log_info({"sda1", "/dev/sda1", "10.0.0.1:6881"}, "hello");
              log_info({"", "/dev/sda1", "10.0.0.1:6881"}, "hello");
          }) == strings{"info  sda1: hello", "info  hello"});
}

TEST_CASE("control characters and broken UTF-8 are replaced, other text is kept") {
    auto const written = [](std::string const& image, std::string const& message) {
        auto const lines = lines_of([&] {
            start_logging(log_level::info);
            log_info({image, "", ""}, message);
        });
        REQUIRE(lines.size() == 1);
        return lines[0];
    };
    CHECK(written("", "a\nb\r\tc") == "info  a?b??c");
    CHECK(written("", "\033[31mred\x7f") == "info  ?[31mred?");
    CHECK(written("", std::string("nul\0nul", 7)) == "info  nul?nul");
    CHECK(written("a\nb", "c") == "info  a?b: c");
    // The ends of each length of UTF-8, and the bytes next to the excluded range.
    for (std::string const text : {" ", "~", "\u00a0", "\u00fc", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff",
                                   "\U00010000", "\U0001f331", "\U0010ffff"}) {
        CHECK(written("", text + "x") == "info  " + text + "x");
    }
    // C1: 80, 9B (which terminals treat as ESC [) and 9F.
    CHECK(written("", "\xc2\x80x\xc2\x9bx\xc2\x9fx") == "info  ??x??x??x");
    // Lone, overlong, surrogate, beyond the last character, truncated.
    for (std::string const text :
         {"\x9b", "\xff", "\xc0\x8a", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x8c"}) {
        std::string const marks(text.size(), '?');
        CHECK(written("", text) == "info  " + marks);
        CHECK(written("", text + "x") == "info  " + marks + "x");
    }
}

TEST_CASE("threads log whole lines while the level changes") {
    constexpr int threads = 4;
    constexpr int messages = 200;
    auto const lines = lines_of([] {
        start_logging(log_level::info);
        std::vector<std::thread> workers;
        for (int t = 0; t < threads; ++t) {
            workers.emplace_back([t] {
                auto const image = "image" + std::to_string(t);
                for (int i = 0; i < messages; ++i) {
                    log_info({image, "", ""}, std::to_string(i));
                }
            });
        }
        for (int i = 0; i < messages; ++i) {
            set_log_level(i % 2 == 0 ? log_level::debug : log_level::info);
        }
        for (auto& worker : workers) {
            worker.join();
        }
    });
    std::map<std::string, int> next;
    for (auto const& line : lines) {
        auto const image = line.substr(0, line.find(':'));
        CHECK(line == image + ": " + std::to_string(next[image]++));
    }
    CHECK(next == std::map<std::string, int>{{"info  image0", messages},
                                             {"info  image1", messages},
                                             {"info  image2", messages},
                                             {"info  image3", messages}});
}

TEST_CASE("a JOURNAL_STREAM other than standard error is not a journal") {
    auto const change = GENERATE(range(0, 8));
    CHECK(lines_of([change] {
              auto const right = stderr_stream();
              auto const colon = right.find(':');
              strings const wrong{"",
                                  "junk",
                                  right.substr(0, colon + 1),
                                  right.substr(0, colon),
                                  right + "0",
                                  "1" + right,
                                  right + "x",
                                  right.substr(0, colon) + "-" + right.substr(colon + 1)};
              set_journal_stream(wrong.at(static_cast<std::size_t>(change)));
              start_logging(log_level::info);
              log_info({}, "hello");
          }) == strings{"info  hello"});
}

TEST_CASE("the journal receives entries with their fields in its own protocol") {
    auto const result = in_child([] {
        enter_empty_run();
        auto const receiver = bind_journal_socket();
        set_journal_stream(stderr_stream());
        start_logging(log_level::debug);
        log_info({"sda1", "/dev/sda1", "10.0.0.1:6881"}, "two\nlines");
        log_error({}, "bad");
        log_warning({"", "/dev/sdb", ""}, "slow");
        log_debug({}, "fine");
        log(log_level::trace, {}, "too fine");
        return received(receiver);
    });
    if (skipped(result)) {
        return;
    }
    CHECK(result.status == 0);
    CHECK(result.err.empty());
    CHECK(result.out == "MESSAGE=sda1: two?lines\nPRIORITY=6\nSYSLOG_IDENTIFIER=seedbed\nSEEDBED_IMAGE=sda1\n"
                        "SEEDBED_DEVICE=/dev/sda1\nSEEDBED_PEER=10.0.0.1:6881\n--\n"
                        "MESSAGE=bad\nPRIORITY=3\nSYSLOG_IDENTIFIER=seedbed\n--\n"
                        "MESSAGE=slow\nPRIORITY=4\nSYSLOG_IDENTIFIER=seedbed\nSEEDBED_DEVICE=/dev/sdb\n--\n"
                        "MESSAGE=fine\nPRIORITY=7\nSYSLOG_IDENTIFIER=seedbed\n--\n");
}

TEST_CASE("threads' messages reach the journal with their own fields") {
    constexpr int messages = 2000;
    strings const names{"a", "b", "c"};
    auto const result = in_child([&names] {
        enter_empty_run();
        auto const receiver = bind_journal_socket();
        ::fcntl(receiver.get(), F_SETFL, ::fcntl(receiver.get(), F_GETFL) & ~O_NONBLOCK);
        set_journal_stream(stderr_stream());
        start_logging(log_level::info);
        std::vector<std::thread> workers;
        for (auto const& name : names) {
            workers.emplace_back([&name] {
                for (int i = 0; i < messages; ++i) {
                    log_info({name, "", ""}, "hello");
                }
            });
        }
        // Read continuously: a socket holds few datagrams (net.unix.max_dgram_qlen), then the senders wait.
        std::map<std::string, int> counts;
        std::string buffer(4096, '\0');
        for (std::size_t i = 0; i < names.size() * messages; ++i) {
            auto const n = ::recv(receiver.get(), buffer.data(), buffer.size(), 0);
            ++counts[buffer.substr(0, n < 0 ? 0 : static_cast<std::size_t>(n))];
        }
        for (auto& worker : workers) {
            worker.join();
        }
        std::string report;
        for (auto const& [entry, count] : counts) {
            report += std::to_string(count) + " x " + entry;
        }
        return report;
    });
    if (skipped(result)) {
        return;
    }
    CHECK(result.status == 0);
    CHECK(result.err.empty());
    std::string expected;
    for (auto const& name : names) {
        expected += std::to_string(messages) + " x MESSAGE=" + name +
                    ": hello\nPRIORITY=6\nSYSLOG_IDENTIFIER=seedbed\nSEEDBED_IMAGE=" + name + "\n";
    }
    CHECK(result.out == expected);
}

TEST_CASE("a message that the journal rejects goes to standard error with its priority") {
    enum class journal { absent, dead };
    auto const state = GENERATE(journal::absent, journal::dead);
    auto const result = in_child([state] {
        enter_empty_run();
        if (state == journal::dead) {
            bind_journal_socket().reset(); // the file stays: ECONNREFUSED
        }
        set_journal_stream(stderr_stream());
        start_logging(log_level::trace);
        log_error({"sda1", "/dev/sda1", ""}, "bad\nline");
        log_warning({}, "slow");
        log_info({}, "hello");
        log_debug({}, "fine");
        log(log_level::trace, {}, "finest");
        return std::string();
    });
    if (skipped(result)) {
        return;
    }
    INFO(result.out);
    CHECK(result.status == 0);
    CHECK(result.err == "<3>sda1: bad?line\n<4>slow\n<6>hello\n<7>fine\n<7>finest\n");
}

TEST_CASE("a program's own sink receives clean messages from its level up") {
    auto const result = in_child([] {
        std::string lines;
        start_logging(log_level::info, [&lines](log_level level, std::string_view line) {
            lines.append(to_string(level)).append(" ").append(line).append("\n");
        });
        log_error({"sda1", "/dev/sda1", "10.0.0.1:6881"}, "bad\nline");
        log_info({}, "hello");
        log_debug({}, "fine");
        set_log_level(log_level::debug);
        log_debug({}, "finer");
        return lines;
    });
    CHECK(result.status == 0);
    CHECK(result.err.empty());
    CHECK(result.out == "error sda1: bad?line\ninfo hello\ndebug finer\n");
}
