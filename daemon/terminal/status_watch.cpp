#include "daemon/terminal/status_watch.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/foundation/wall_clock.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/status/status_client.hpp"
#include "daemon/status/status_document.hpp"
#include "daemon/terminal/status_layout.hpp"
#include "daemon/terminal/terminal_screen.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 1s;
constexpr auto answer_timeout = 10s;

/// Local time of day: "20:15:54".
std::string clock_text(std::chrono::system_clock::time_point time) {
    auto const seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    std::array<char, 16> text{};
    if (::localtime_r(&seconds, &parts) == nullptr ||
        std::strftime(text.data(), text.size(), "%H:%M:%S", &parts) == 0) {
        return {};
    }
    return text.data();
}

/// Whether the terminal understands the sequences of terminal_screen.
bool knows_sequences() {
    auto const* const term = std::getenv("TERM");
    return term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

class watch {
public:
    watch(std::string const& socket, bool json)
        : m_json(json)
        , m_client(m_context, socket) {
        if (!json && standard_output_size() && knows_sequences()) {
            m_screen.emplace();
        }
    }

    int run() {
        for (auto const signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP}) {
            m_signals.add(signal);
        }
        wait_for_signal();
        ask();
        m_context.run();
        m_screen.reset();
        if (!m_end_reason.empty()) {
            std::cerr << "seedbed status: " << m_end_reason << '\n';
        }
        return m_exit;
    }

private:
    void wait_for_signal() {
        m_signals.async_wait([this](boost::system::error_code const& ec, int signal) {
            if (!ec) {
                on_signal(signal);
            }
        });
    }

    void on_signal(int signal) {
        if (signal == SIGWINCH) {
            if (m_screen) {
                m_screen->clear();
            }
            draw();
        } else if (signal == SIGTSTP) {
            if (m_screen) {
                m_screen->leave();
            }
            static_cast<void>(std::raise(SIGSTOP)); // cannot fail; continues here after SIGCONT
            if (m_screen) {
                m_screen->enter();
            }
            draw();
        } else {
            m_context.stop();
            return;
        }
        wait_for_signal();
    }

    void ask() {
        auto const next = std::chrono::steady_clock::now() + interval;
        m_client.get("/status", answer_timeout, [this, next](result<std::string> answer) {
            on_answer(std::move(answer));
            m_timer.expires_at(next);
            m_timer.async_wait([this](boost::system::error_code const& ec) {
                if (!ec) {
                    ask();
                }
            });
        });
    }

    void on_answer(result<std::string> answer) {
        auto snapshot =
            answer ? parse_status_document(*answer) : result<status_snapshot>(tl::unexpected(answer.error()));
        if (!snapshot) {
            m_exit = exit_failed;
            m_trouble = snapshot.error().message;
            if (!m_screen || !m_last) { // no screen that would show its return, or nothing to show until then
                end(m_trouble);
                return;
            }
            draw();
            return;
        }
        m_trouble.clear();
        m_last = std::move(*snapshot);
        m_exit = has_failed_image(*m_last) ? exit_image_failed : exit_ok;
        if (m_json) {
            std::cout << *answer << std::flush; // the document ends with a newline
        } else if (!m_screen) {
            std::cout << (std::exchange(m_first, false) ? "" : "\n");
            for (auto const& line : status_table(*m_last, standard_output_size().value_or(terminal_size{0, 0}).width)) {
                std::cout << line << '\n';
            }
            std::cout.flush();
        }
        if (!std::cout) {
            m_exit = exit_failed;
            end("cannot write to standard output");
            return;
        }
        draw();
    }

    void draw() {
        if (!m_screen || !m_last) {
            return;
        }
        auto const size = standard_output_size().value_or(terminal_size{});
        auto const trouble =
            m_trouble.empty() ? "" : "showing the status of " + clock_text(m_last->taken) + ": " + m_trouble;
        auto const now = clock_text(wall_clock_now());
        if (!m_screen->draw(status_screen(*m_last, now, trouble, size.width, size.height), size)) {
            m_exit = exit_failed;
            end({});
        }
    }

    void end(std::string reason) {
        m_end_reason = std::move(reason);
        m_context.stop();
    }

    bool const m_json;
    boost::asio::io_context m_context{1};
    boost::asio::signal_set m_signals{m_context};
    boost::asio::steady_timer m_timer{m_context};
    status_client m_client;
    std::optional<terminal_screen> m_screen;
    std::optional<status_snapshot> m_last;
    std::string m_trouble; ///< why there is no newer status; empty if the status is current
    std::string m_end_reason;
    bool m_first = true;
    int m_exit = exit_ok;
};

} // namespace

int watch_status(std::string const& socket, bool json) {
    return watch(socket, json).run();
}

} // namespace seedbed
