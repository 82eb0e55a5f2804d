#include "daemon/http/http_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <future>
#include <list>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "core/foundation/unique_fd.hpp"
#include "daemon/http/http_server.hpp"
#include "support/failing_system_call.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using Catch::Contains;
using Catch::EndsWith;
using seedbed::test::temp_dir;
namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

/// Bytes that differ from position to position.
std::string pattern(std::size_t size) {
    std::string bytes(size, ' ');
    std::uint32_t state = 1;
    for (auto& byte : bytes) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<char>(state >> 24);
    }
    return bytes;
}

/// A folder that a server serves below "/boot/", and clients, on one loop.
class served_folder {
public:
    explicit served_folder(http_limits const& limits = {})
        : m_server(
              m_context,
              [this](http_request const& request, http_respond const& respond) {
                  files.answer(request, std::string_view(request.target).substr(std::string_view("/boot/").size()),
                               respond);
              },
              limits) {
        fs::create_directories(root() / "sub");
        write("vmlinuz", kernel);
        write("sub/initrd.img", "initramfs");
        set(root());
        auto const port = m_server.listen_tcp("127.0.0.1", 0);
        REQUIRE(port);
        m_port = *port;
    }

    [[nodiscard]] fs::path root() const { return m_dir / "boot"; }
    void write(fs::path const& name, std::string const& bytes) const {
        std::ofstream(root() / name, std::ios::binary) << bytes;
    }
    /// \return the error of the folder, or nothing.
    std::string set(fs::path const& folder) {
        std::optional<result<void>> outcome;
        files.set_folder(folder.string(), [&outcome](result<void> const& checked) { outcome = checked; });
        run_until([&outcome] { return outcome.has_value(); });
        return *outcome ? "" : outcome->error().message;
    }
    /// Sends a request. \param fields header lines, each with its line end.
    asio::ip::tcp::socket& open(std::string const& head, std::string const& fields = "") {
        auto& client = m_clients.emplace_back(m_context);
        client.connect({asio::ip::address_v4::loopback(), m_port});
        asio::write(client, asio::buffer(head + " HTTP/1.1\r\nConnection: close\r\n" + fields + "\r\n"));
        return client;
    }
    /// The rest of what the server sends.
    std::string rest(asio::ip::tcp::socket& client) {
        std::string text;
        bool ended = false;
        asio::async_read(client, asio::dynamic_buffer(text), [&ended](auto const&, std::size_t) { ended = true; });
        run_until([&ended] { return ended; });
        return text;
    }
    std::string get(std::string const& name, std::string const& fields = "") {
        return rest(open("GET /boot/" + name, fields));
    }
    /// The response's header.
    std::string header(asio::ip::tcp::socket& client) {
        std::string text;
        while (!text.ends_with("\r\n\r\n")) {
            char byte = 0;
            bool done = false;
            asio::async_read(client, asio::buffer(&byte, 1), [&done](auto const& ec, std::size_t) {
                REQUIRE_FALSE(ec);
                done = true;
            });
            run_until([&done] { return done; });
            text += byte;
        }
        return text;
    }
    template <class Condition>
    void run_until(Condition condition) {
        auto const work = asio::make_work_guard(m_context);
        m_context.restart();
        while (!condition()) {
            REQUIRE(m_context.run_one_for(10s) > 0);
        }
    }
    asio::io_context& context() noexcept { return m_context; }

    std::string const kernel = pattern(300'000);
    std::vector<std::string> complaints;

private:
    temp_dir m_dir;
    asio::io_context m_context{1};

public:
    http_folder files{m_context, [this](std::string const& line) { complaints.push_back(line); }};

private:
    http_server m_server;
    std::uint16_t m_port = 0;
    std::list<asio::ip::tcp::socket> m_clients;
};

std::string body_of(std::string const& response) {
    return response.substr(response.find("\r\n\r\n") + 4);
}

std::string field_of(std::string const& response, std::string const& name) {
    std::smatch found;
    auto const matches = std::regex_search(response, found, std::regex(name + ": ([^\r]+)\r\n"));
    return matches ? found[1].str() : "";
}

/// The result of one request, without a connection.
struct once {
    int status = 0;
    bool part = false; ///< the first one was read
};

/// Serves a folder with workers that this thread starts. Uses no macros of the test framework.
once ask_once(fs::path const& folder, std::string_view name, std::string& complaint) {
    asio::io_context context{1};
    http_folder files(context, [&complaint](std::string const& line) { complaint = line; });
    files.set_folder(folder.string(), [](result<void> const&) {});
    once outcome;
    bool done = false;
    http_request request;
    request.peer_address = "192.0.2.1";
    files.answer(request, name, [&](http_response const& response) {
        outcome.status = response.status;
        done = response.parts.size == 0;
        if (!done) {
            response.parts.read_next([&](std::shared_ptr<std::string const> const& part) {
                outcome.part = part != nullptr;
                done = true;
            });
        }
    });
    auto const work = asio::make_work_guard(context);
    while (!done && context.run_one_for(10s) > 0) {
    }
    return outcome;
}

/// A file that does not fit into the buffers of two sockets.
constexpr std::size_t large_file = 64U << 20;

} // namespace

TEST_CASE("http folder: a file, with what a client needs to know about it") {
    served_folder served;
    auto const answer = served.get("vmlinuz");
    CHECK_THAT(answer, Contains("200 OK") && Contains("Content-Length: 300000\r\n") &&
                           Contains("Content-Type: application/octet-stream\r\n") &&
                           Contains("Accept-Ranges: bytes\r\n") && Contains("ETag: \""));
    CHECK(body_of(answer) == served.kernel);
    CHECK(std::regex_match(field_of(answer, "Last-Modified"),
                           std::regex("[A-Z][a-z]{2}, \\d\\d [A-Z][a-z]{2} \\d{4} \\d\\d:\\d\\d:\\d\\d GMT")));
    CHECK(body_of(served.get("sub/initrd.img")) == "initramfs");
    CHECK(body_of(served.get("sub%2finitrd.img")) == "initramfs");
    auto const head = served.rest(served.open("HEAD /boot/vmlinuz"));
    CHECK_THAT(head, Contains("Content-Length: 300000\r\n") && EndsWith("\r\n\r\n"));
    served.write("empty", "");
    CHECK_THAT(served.get("empty"), Contains("200 OK") && Contains("Content-Length: 0\r\n") && EndsWith("\r\n\r\n"));
    CHECK(served.files.open_files() == 0);
    CHECK(served.complaints.empty());
}

TEST_CASE("http folder: content types of boot files") {
    served_folder served;
    for (auto const& [name, type] : {std::pair("snponly.efi", "application/efi"),
                                     {"a.iso", "application/vnd.efi-iso"},
                                     {"boot.ipxe", "text/plain; charset=utf-8"},
                                     {"efi", "application/octet-stream"}}) {
        served.write(name, "x");
        CHECK(field_of(served.get(name), "Content-Type") == type);
    }
}

TEST_CASE("http folder: ranges") {
    served_folder served;
    auto const part = served.get("vmlinuz", "Range: bytes=100000-249999\r\n");
    CHECK_THAT(part, Contains("206 Partial Content") && Contains("Content-Length: 150000\r\n") &&
                         Contains("Content-Range: bytes 100000-249999/300000\r\n"));
    CHECK(body_of(part) == served.kernel.substr(100'000, 150'000));
    CHECK(body_of(served.get("vmlinuz", "Range: bytes=-7\r\n")) == served.kernel.substr(299'993));
    CHECK(body_of(served.get("vmlinuz", "Range: bytes=299999-\r\n")) == served.kernel.substr(299'999));
    CHECK_THAT(served.get("vmlinuz", "Range: bytes=300000-\r\n"),
               Contains("416 ") && Contains("Content-Range: bytes */300000\r\n"));
    auto const tag = field_of(part, "ETag");
    auto const date = field_of(part, "Last-Modified");
    CHECK_THAT(served.get("vmlinuz", "Range: bytes=0-9\r\nIf-Range: " + tag + "\r\n"), Contains("206 "));
    for (auto const& other : {std::string("\"other\""), date}) {
        CHECK_THAT(served.get("vmlinuz", "Range: bytes=0-9\r\nIf-Range: " + other + "\r\n"), Contains("200 OK"));
    }
}

TEST_CASE("http folder: a client that has the file does not load it again") {
    served_folder served;
    auto const first = served.get("vmlinuz");
    auto const tag = "If-None-Match: " + field_of(first, "ETag") + "\r\n";
    auto const date = "If-Modified-Since: " + field_of(first, "Last-Modified") + "\r\n";
    CHECK_THAT(served.get("vmlinuz", tag), Contains("304 ") && !Contains("Content-Length") && EndsWith("\r\n\r\n"));
    CHECK_THAT(served.get("vmlinuz", date), Contains("304 "));
    CHECK_THAT(served.get("vmlinuz", date + "If-None-Match: \"other\"\r\n"), Contains("200 OK"));
    // Another file with the same name, size and time.
    auto const time = fs::last_write_time(served.root() / "vmlinuz");
    served.write("new", pattern(300'001).substr(1));
    fs::last_write_time(served.root() / "new", time);
    fs::rename(served.root() / "new", served.root() / "vmlinuz");
    CHECK_THAT(served.get("vmlinuz", tag), Contains("200 OK"));
}

TEST_CASE("http folder: only regular files in the folder, under names without a leading dot") {
    served_folder served;
    auto const outside = served.root().parent_path() / "secret";
    std::ofstream(outside) << "secret";
    fs::create_directories(served.root().parent_path() / "outside");
    std::ofstream(served.root().parent_path() / "outside" / "secret") << "secret";
    served.write(".vmlinuz.new", "half");
    fs::create_directories(served.root() / ".git");
    served.write(".git/config", "hidden");
    fs::create_symlink("sub", served.root() / "linked");
    fs::create_symlink("../outside", served.root() / "way");
    REQUIRE(::mkfifo((served.root() / "fifo").c_str(), 0600) == 0);
    for (auto const* const name : {"",
                                   "/",
                                   "sub",
                                   "sub/",
                                   "none",
                                   "none/vmlinuz",
                                   "vmlinuz/",
                                   "vmlinuz/x",
                                   "/vmlinuz",
                                   "sub//initrd.img",
                                   ".",
                                   "..",
                                   "./vmlinuz",
                                   "../secret",
                                   "sub/../vmlinuz",
                                   "sub/../../secret",
                                   "%2e%2e/secret",
                                   "..%2fsecret",
                                   "%2e%2e%2fsecret",
                                   "sub/%2e%2e/%2e%2e/secret",
                                   ".vmlinuz.new",
                                   ".git/config",
                                   "vmlinuz%00",
                                   "%00",
                                   "%2fetc/passwd",
                                   "/etc/passwd",
                                   "linked/initrd.img",
                                   "way/secret",
                                   "fifo",
                                   "..\\secret"}) {
        INFO(name);
        auto const answer = served.get(name);
        CHECK_THAT(answer, Contains("404 Not Found") && !Contains("secret\r\n") && EndsWith("no such file\n"));
    }
    CHECK_THAT(served.get(std::string(5000, 'x')), Contains("404 Not Found"));
    CHECK_THAT(served.get("%zz"), Contains("400 Bad Request"));
    CHECK(served.complaints.empty());
    fs::create_symlink("../secret", served.root() / "link");
    CHECK_THAT(served.get("link"), Contains("404 Not Found") && !Contains("secret"));
    CHECK(served.complaints ==
          std::vector{"not serving " + (served.root() / "link").string() + ": it is a symbolic link"});
    CHECK(served.files.open_files() == 0);
}

TEST_CASE("http folder: a file that may not be read") {
    temp_dir folder;
    fs::permissions(folder.path(), fs::perms::all);
    std::ofstream(folder / "private") << "x";
    fs::permissions(folder / "private", fs::perms::none);
    std::string complaint;
    auto const status = std::async(std::launch::async, [&] {
                            // Root may read everything, so this thread and the workers that it starts become another
                            // user.
                            ::setfsuid(65534);
                            return ask_once(folder.path(), "private", complaint).status;
                        }).get();
    CHECK(status == 403);
    CHECK(complaint == "cannot open " + (folder / "private").string() + ": Permission denied (EACCES)");
}

TEST_CASE("http folder: a file that cannot be read ends the connection") {
    SEEDBED_REQUIRE_SECCOMP();
    temp_dir folder;
    std::ofstream(folder / "bad") << "x";
    std::string complaint;
    auto const part_came = test::with_failing_system_calls(
        {SYS_pread64}, EIO, [&] { return ask_once(folder.path(), "bad", complaint).part; });
    CHECK_FALSE(part_came);
    CHECK(complaint == "cannot send to 192.0.2.1: " + (folder / "bad").string() +
                           ": Input/output error (EIO); ending the connection");
}

TEST_CASE("http folder: a file that shrinks or changes ends an incomplete response") {
    served_folder served;
    auto const file = served.root() / "large";
    auto const change = GENERATE(0, 1, 2);
    served.write("large", "");
    fs::resize_file(file, large_file);
    auto& client = served.open("GET /boot/large");
    CHECK_THAT(served.header(client), Contains("Content-Length: 67108864\r\n"));
    unique_fd const fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(fd);
    if (change == 0) {
        REQUIRE(::ftruncate(fd.get(), large_file / 2) == 0);
    } else if (change == 1) {
        REQUIRE(::ftruncate(fd.get(), 0) == 0);
    } else {
        REQUIRE(::pwrite(fd.get(), "x", 1, large_file - 1) == 1); // the same size
    }
    CHECK(served.rest(client).size() < large_file);
    CHECK(served.complaints == std::vector{"cannot send to 127.0.0.1: " + file.string() +
                                           ": changed while being sent; ending the connection"});
    CHECK(served.files.open_files() == 0);
}

TEST_CASE("http folder: a file that is replaced, or whose folder is, is sent to its end") {
    served_folder served;
    auto const old = pattern(large_file);
    served.write("large", old);
    auto& client = served.open("GET /boot/large");
    served.header(client);
    served.write("new", "new");
    fs::rename(served.root() / "new", served.root() / "large");
    temp_dir other;
    std::ofstream(other / "vmlinuz") << "another";
    CHECK(served.set(other.path()).empty());
    CHECK(served.rest(client) == old);
    CHECK(body_of(served.get("vmlinuz")) == "another");
    CHECK_THAT(served.get("large"), Contains("404 "));
    CHECK(served.complaints.empty());
}

TEST_CASE("http folder: a client that does not receive is disconnected, and its file closed") {
    http_limits limits;
    limits.idle_timeout = 100ms;
    served_folder served(limits);
    served.write("large", "");
    fs::resize_file(served.root() / "large", large_file);
    auto& client = served.open("GET /boot/large");
    served.run_until([&served] { return served.files.open_files() == 1; });
    served.run_until([&served] { return served.files.open_files() == 0; });
    CHECK(served.rest(client).size() < large_file);
    CHECK(served.complaints.empty());
}

TEST_CASE("http folder: a folder that cannot be opened is served once it can") {
    served_folder served;
    auto const later = served.root() / "later";
    CHECK(served.set(later) == later.string() + ": No such file or directory (ENOENT)");
    CHECK_THAT(served.get("vmlinuz"), Contains("503 "));
    CHECK(served.complaints == std::vector{"cannot open " + later.string() + ": No such file or directory (ENOENT)"});
    fs::create_directories(later);
    std::ofstream(later / "vmlinuz") << "there";
    CHECK(body_of(served.get("vmlinuz")) == "there");
}

TEST_CASE("http folder: the number of requests that wait for the disk is limited") {
    served_folder served;
    std::vector<int> statuses;
    auto const ask = [&] {
        served.files.answer({}, "vmlinuz", [&](http_response const& response) { statuses.push_back(response.status); });
    };
    for (std::size_t i = 0; i < http_folder::most_opening; ++i) {
        ask();
    }
    CHECK(statuses.empty()); // the loop does not run
    ask();
    CHECK(statuses == std::vector{503});
    served.run_until([&statuses] { return statuses.size() > http_folder::most_opening; });
    CHECK(std::count(statuses.begin(), statuses.end(), 200) == http_folder::most_opening);
    ask();
    served.run_until([&statuses] { return statuses.size() == http_folder::most_opening + 2; });
    CHECK(statuses.back() == 200);
}

TEST_CASE("http folder: the number of open files is limited") {
    rlimit wanted{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &wanted) == 0);
    auto const before = wanted;
    wanted.rlim_cur = wanted.rlim_max;
    REQUIRE(wanted.rlim_cur > 2 * http_folder::most_files);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &wanted) == 0);
    served_folder served;
    std::vector<http_response> responses;
    auto const ask = [&] {
        auto const number = responses.size();
        served.files.answer({}, "vmlinuz",
                            [&responses](http_response response) { responses.push_back(std::move(response)); });
        served.run_until([&] { return responses.size() > number; });
        return responses.back().status;
    };
    for (std::size_t i = 0; i < http_folder::most_files; ++i) {
        REQUIRE(ask() == 200);
    }
    CHECK(served.files.open_files() == http_folder::most_files);
    CHECK(ask() == 503);
    responses.erase(responses.begin());
    CHECK(ask() == 200);
    responses.clear();
    CHECK(served.files.open_files() == 0);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}
