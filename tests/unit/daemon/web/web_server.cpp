#include "daemon/web/web_server.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "daemon/web/page.hpp"
#include "support/endpoints.hpp"
#include "support/sample_status.hpp"

using namespace seedbed;
using namespace seedbed::test;
using namespace std::chrono_literals;
using Catch::Contains;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// A browser's connection that reads until its end.
class client {
public:
    /// \param fields header lines, each with its line end.
    client(asio::io_context& context, std::uint16_t port, std::string const& head, std::string const& from,
           std::string const& fields)
        : m_socket(context, tcp::endpoint(asio::ip::make_address(from), 0)) {
        m_socket.connect({asio::ip::address_v4::loopback(), port});
        asio::write(m_socket,
                    asio::buffer(head + " HTTP/1.1\r\nHost: seedbed\r\nConnection: close\r\n" + fields + "\r\n"));
        read();
    }
    client(client const&) = delete;
    client& operator=(client const&) = delete;
    ~client() = default;

    void close() { m_socket.close(); }
    [[nodiscard]] std::string const& text() const noexcept { return m_text; }
    [[nodiscard]] bool ended() const noexcept { return m_ended; }

private:
    void read() {
        m_socket.async_read_some(asio::buffer(m_part), [this](boost::system::error_code const& ec, std::size_t bytes) {
            if (ec == asio::error::operation_aborted) {
                return; // this object may no longer exist
            }
            m_text.append(m_part.data(), bytes);
            if (ec) {
                m_ended = true;
            } else {
                read();
            }
        });
    }

    tcp::socket m_socket;
    std::array<char, 4096> m_part{};
    std::string m_text;
    bool m_ended = false;
};

/// A web server whose page one thread serves and reads.
class running_page {
public:
    running_page()
        : m_server(m_context,
                   [this](status_collector::clock::duration, status_collector::receiver const& call) {
                       ++collected;
                       call(present);
                   },
                   {[this] { return machines; }, [this](auto const& call) { call(history); }, [] { return "17"; }}) {
        m_server.apply({test::endpoints({"127.0.0.1:" + std::to_string(m_port)})}, {});
    }
    running_page(running_page const&) = delete;
    running_page& operator=(running_page const&) = delete;
    ~running_page() {
        m_clients.clear();
        m_server.close();
        m_context.restart();
        m_context.run(); // hangs if close() leaves an operation behind
    }

    client& open(std::string const& head, std::string const& from = "127.0.0.1", std::string const& fields = "") {
        return m_clients.emplace_back(m_context, m_port, head, from, fields);
    }
    template <class Condition>
    void run_until(Condition condition) {
        m_context.restart();
        while (!condition()) {
            REQUIRE(m_context.run_one_for(10s) > 0);
        }
    }
    void run_for(std::chrono::milliseconds time) {
        m_context.restart();
        m_context.run_for(time);
    }
    std::string get(std::string const& head, std::string const& fields = "") {
        auto const& one = open(head, "127.0.0.1", fields);
        run_until([&one] { return one.ended(); });
        return one.text();
    }
    [[nodiscard]] web_server& server() noexcept { return m_server; }

    status_snapshot present = sample_snapshot();
    std::vector<machine_row> machines = std::vector<machine_row>(1);
    result<std::string> history = "the document\n";
    int collected = 0;

private:
    static std::uint16_t free_port() {
        asio::io_context context;
        return tcp::acceptor(context, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
    }

    asio::io_context m_context{1};
    std::uint16_t const m_port = free_port();
    web_server m_server;
    std::deque<client> m_clients;
};

std::string sha256_base64(std::string const& text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    ::SHA256(reinterpret_cast<unsigned char const*>(text.data()), text.size(), digest.data());
    std::array<unsigned char, 45> base64{};
    ::EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(digest.size()));
    return reinterpret_cast<char const*>(base64.data());
}

std::size_t count_documents(std::string const& text) {
    std::size_t count = 0;
    for (auto at = text.find("data: {"); at != std::string::npos; at = text.find("data: {", at + 1)) {
        ++count;
    }
    return count;
}

} // namespace

TEST_CASE("web: the page's policy permits its own style and script, and nothing else") {
    running_page page;
    auto const answer = page.get("GET /");
    CHECK_THAT(answer, Contains("200 OK") && Contains("Content-Type: text/html; charset=utf-8\r\n") &&
                           Contains("X-Content-Type-Options: nosniff\r\n") && Contains("Cache-Control: no-cache\r\n"));
    CHECK_THAT(answer, Contains("Content-Security-Policy: default-src 'none'; ") &&
                           Contains("require-trusted-types-for 'script'; trusted-types 'none'"));
    std::string const text(page_text());
    auto const between = [&text](std::string const& from, std::string const& to) {
        auto const begin = text.find(from) + from.size();
        return text.substr(begin, text.find(to, begin) - begin);
    };
    CHECK_THAT(answer, Contains("; style-src 'sha256-" + sha256_base64(between("<style>", "</style>")) + "'; "));
    CHECK_THAT(answer, Contains("; script-src 'sha256-" + sha256_base64(between("<script>", "</script>")) + "'; "));
    CHECK_THAT(answer, Contains(text));
    CHECK(page.collected == 0);
}

TEST_CASE("web: a browser that has the page does not load it again") {
    running_page page;
    std::smatch tag;
    auto const head = page.get("HEAD /");
    REQUIRE(std::regex_search(head, tag, std::regex("ETag: (\"[^\"]+\")\r\n")));
    CHECK_THAT(head, Contains("Content-Length: ") && !Contains("<html"));
    auto const again = page.get("GET /", "If-None-Match: " + tag[1].str() + "\r\n");
    CHECK_THAT(again, Contains("304 Not Modified") && !Contains("<html"));
}

TEST_CASE("web: the page sets texts of machines only as text, and loads nothing") {
    std::string const text(page_text());
    CHECK_THAT(text, Contains("textContent"));
    for (auto const* const way : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://",
                                  "https://", " style=", " onclick="}) {
        CHECK_THAT(text, !Contains(way));
    }
}

TEST_CASE("web: other paths and methods") {
    running_page page;
    CHECK_THAT(page.get("GET /status"), Contains("404 Not Found"));
    CHECK_THAT(page.get("GET /machines/redo?name=all"), Contains("404 Not Found"));
    CHECK_THAT(page.get("POST /"), Contains("405 Method Not Allowed"));
    auto const head = page.get("HEAD /events");
    CHECK_THAT(head, Contains("200 OK") && Contains("text/event-stream"));
    CHECK(page.collected == 0);
}

TEST_CASE("web: a browser gets a document at once and each second, and the samples before it") {
    running_page page;
    auto const& first = page.open("GET /events");
    page.run_until([&first] { return count_documents(first.text()) == 2; });
    CHECK_THAT(first.text(), Contains("Content-Type: text/event-stream\r\n") &&
                                 Contains("event: samples\ndata: []\n") && Contains("data: {\"format\":1,"));
    CHECK_FALSE(first.ended());
    auto const& second = page.open("GET /events");
    page.run_until([&second] { return count_documents(second.text()) == 1; });
    CHECK_THAT(second.text(), Contains("event: samples\ndata: [[1769860800000,0,102760448],["));
    CHECK(page.server().viewers() == 2);
}

TEST_CASE("web: the deployments that have ended, and in each document whether there are new ones") {
    running_page page;
    CHECK_THAT(page.get("GET /history"), Contains("Content-Type: application/json\r\n") &&
                                             Contains("Cache-Control: no-store\r\n") && Contains("\nthe document\n"));
    auto const& one = page.open("GET /events");
    page.run_until([&one] { return count_documents(one.text()) == 1; });
    CHECK_THAT(one.text(), Contains(R"("last_ended":"17")"));
    page.history = tl::unexpected(error{"damaged"});
    CHECK_THAT(page.get("GET /history"), Contains("503 Service Unavailable") && Contains("\ndamaged\n"));
}

TEST_CASE("web: documents are made only while a browser is connected") {
    running_page page;
    auto& only = page.open("GET /events");
    page.run_until([&only] { return count_documents(only.text()) == 1; });
    only.close();
    page.run_until([&page] { return page.server().viewers() == 0; });
    auto const before = page.collected;
    page.run_for(2500ms); // two documents, were a browser connected
    CHECK(page.collected == before);
    auto const& next = page.open("GET /events");
    page.run_until([&next] { return count_documents(next.text()) == 1; });
    CHECK(page.collected == before + 1);
}

TEST_CASE("web: an address that takes all connections does not keep other browsers out") {
    running_page page;
    for (int i = 0; i < 100; ++i) {
        page.open("GET /events", i % 2 == 0 ? "127.0.0.2" : "127.0.0.3");
    }
    for (int i = 0; i < 40; ++i) {
        page.open("GET /events", "127.0.1." + std::to_string(1 + i));
    }
    auto const& other = page.open("GET /events", "127.0.0.1");
    page.run_until([&other] { return count_documents(other.text()) == 2; });
    CHECK(page.server().viewers() <= 64);
    CHECK_FALSE(other.ended());
}

TEST_CASE("web: an address that is no longer configured is closed, with its browsers") {
    running_page page;
    auto const& one = page.open("GET /events");
    page.run_until([&one] { return count_documents(one.text()) == 1; });
    page.server().apply({}, {});
    page.run_until([&one] { return one.ended(); });
}
