#include "unit/daemon/service/running_app.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <libtorrent/hasher.hpp>

#include "config/load.hpp"
#include "core/foundation/save_file.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/log/logging.hpp"

namespace seedbed::test {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

/// Of three, the middle one is in neither end of the image, which is written last (ends_last_device.hpp).
constexpr int piece_size = 1 << 20;
constexpr int image_size = 3 * piece_size;
constexpr auto deadline = 20s;

std::string content(std::string const& name) {
    return std::string(image_size, name.back());
}

/// Whether a line has a text that starts at the start of a word: "already" is not "ready".
bool has(std::string_view line, std::string_view text) {
    for (auto at = line.find(text); at != std::string_view::npos; at = line.find(text, at + 1)) {
        if (at == 0 || std::isalpha(static_cast<unsigned char>(line[at - 1])) == 0) {
            return true;
        }
    }
    return false;
}

} // namespace

std::uint16_t free_port() {
    asio::io_context context;
    return asio::ip::tcp::acceptor(context, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
}

bool is_open(std::uint16_t port) {
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    boost::system::error_code ec;
    socket.connect({asio::ip::address_v4::loopback(), port}, ec);
    return !ec;
}

int threads_named(std::string const& name) {
    int count = 0;
    for (auto const& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string read;
        std::getline(std::ifstream(task.path() / "comm"), read);
        count += read == name ? 1 : 0;
    }
    return count;
}

running_app::running_app() {
    std::filesystem::create_directory(m_folder / "state");
    start_logging(log_level::info, [this](log_level, std::string_view line) { on_line(line); });
}

running_app::~running_app() {
    if (m_thread.joinable()) {
        static_cast<void>(stop());
    }
    start_logging(log_level::info);
}

std::string running_app::image(std::string const& name, std::string const& more) {
    if (!std::filesystem::exists(file(name + ".img"))) {
        REQUIRE(save_file(file(name + ".img").string(), content(name), false));
        write_torrent(name, name);
    }
    return "[[image]]\nname = \"" + name + "\"\ntorrent = \"" + name + ".torrent\"\ndevice = \"" + name + ".img\"\n" +
           more;
}

void running_app::write_torrent(std::string const& name, std::string const& inner) {
    auto const bytes = content(name);
    auto const hash = lt::hasher(bytes.data(), piece_size).final();
    sha1_digest digest;
    std::copy(hash.begin(), hash.end(), digest.begin());
    auto const torrent =
        make_torrent(*extent_map::make({{0, image_size}}), {digest, digest, digest}, {inner, piece_size, {}, ""});
    REQUIRE(torrent);
    REQUIRE(save_file(file(name + ".torrent").string(), torrent->bytes, true));
}

void running_app::write_config() const {
    std::ofstream out(file("seedbed.toml.new"));
    out << "[network]\nlisten = \"127.0.0.1:" << port << "\"\nlocal_discovery = false\n"
        << network << "[tracker]\n"
        << tracker << "[memory]\n"
        << memory << "[control]\nsocket = \"control\"\n"
        << other;
    for (auto const& each : images) {
        out << each;
    }
    out.close();
    REQUIRE(out);
    std::filesystem::rename(file("seedbed.toml.new"), file("seedbed.toml"));
}

void running_app::start(std::string const& until) {
    write_config();
    auto loaded = load_settings(file("seedbed.toml"));
    INFO((loaded ? "" : loaded.error().lines.front()));
    REQUIRE(loaded);
    m_ended = false;
    m_may_go = false;
    m_thread = std::thread([this, initial = std::move(*loaded)]() mutable {
        app daemon(file("seedbed.toml"), true, std::move(initial));
        auto const code = daemon.run();
        std::unique_lock lock(m_mutex);
        m_exit = code;
        m_ended = true;
        m_changed.notify_all();
        m_changed.wait(lock, [this] { return m_may_go; }); // signals have handlers while the daemon exists
    });
    await(until);
}

std::string running_app::reload() {
    write_config();
    REQUIRE(::kill(::getpid(), SIGHUP) == 0);
    return await("reload: ");
}

exit_code running_app::stop(bool signalled) {
    if (!signalled) {
        static_cast<void>(::kill(::getpid(), SIGTERM));
    }
    {
        std::unique_lock lock(m_mutex);
        if (!m_changed.wait_for(lock, deadline, [this] { return m_ended; })) {
            std::abort(); // its thread cannot be joined
        }
        m_may_go = true;
        m_changed.notify_all();
    }
    m_thread.join();
    return m_exit;
}

std::string running_app::await(std::string const& text) {
    std::unique_lock lock(m_mutex);
    std::string found;
    auto const come = m_changed.wait_for(lock, deadline, [&] {
        while (m_seen < m_lines.size()) {
            if (auto const& line = m_lines[m_seen++]; has(line, text)) {
                found = line;
                return true;
            }
        }
        return m_ended;
    });
    std::string all;
    for (auto const& line : m_lines) {
        all += line + '\n';
    }
    INFO("awaited: " << text << "\n" << all);
    REQUIRE(come);
    REQUIRE_FALSE(found.empty());
    return found;
}

void running_app::raise_at(std::string const& text, std::vector<int> signals) {
    std::scoped_lock const lock(m_mutex);
    m_raise.emplace(text, std::move(signals));
}

std::vector<std::string> running_app::lines(std::string const& text) {
    std::scoped_lock const lock(m_mutex);
    std::vector<std::string> some;
    std::ranges::copy_if(m_lines, std::back_inserter(some),
                         [&text](std::string const& line) { return has(line, text); });
    return some;
}

status_snapshot running_app::status() const {
    asio::io_context context;
    asio::local::stream_protocol::socket socket(context);
    socket.connect(file("control").string());
    asio::write(socket, asio::buffer(std::string("GET /status HTTP/1.0\r\n\r\n")));
    std::string answer;
    boost::system::error_code ec;
    asio::read(socket, asio::dynamic_buffer(answer), ec);
    REQUIRE(ec == asio::error::eof);
    auto const body = answer.find("\r\n\r\n");
    REQUIRE(body != std::string::npos);
    auto const parsed = parse_status_document(std::string_view(answer).substr(body + 4));
    REQUIRE(parsed);
    return *parsed;
}

std::vector<std::string> running_app::names_in(image_state state) const {
    auto const until = std::chrono::steady_clock::now() + deadline;
    for (;;) {
        std::vector<std::string> names;
        auto settled = true;
        for (auto const& image : status().images) {
            settled = settled && image.status.state == state;
            names.push_back(image.status.name +
                            (image.status.state == state ? "" : " is " + std::string(to_string(image.status.state))));
        }
        if (settled || std::chrono::steady_clock::now() > until) {
            return names;
        }
    }
}

std::vector<std::string> running_app::notifications() {
    std::scoped_lock const lock(m_mutex);
    take_notifications_locked();
    return std::exchange(m_notifications, {});
}

void running_app::take_notifications_locked() {
    auto more = m_manager.messages();
    std::ranges::move(more, std::back_inserter(m_notifications));
}

void running_app::on_line(std::string_view line) {
    std::vector<int> signals;
    {
        std::scoped_lock const lock(m_mutex);
        m_lines.emplace_back(line);
        take_notifications_locked();
        m_changed.notify_all();
        if (m_raise && has(line, m_raise->first)) {
            signals = m_raise->second;
            m_raise.reset();
        }
    }
    for (auto const number : signals) {
        static_cast<void>(std::raise(number));
    }
}

} // namespace seedbed::test
