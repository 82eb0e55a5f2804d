#include "daemon/terminal/status_watch.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <ctime>
#include <iostream>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/foundation/printable.hpp"
#include "core/foundation/wall_clock.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/status/board_document.hpp"
#include "daemon/status/status_client.hpp"
#include "daemon/status/status_document.hpp"
#include "daemon/terminal/keyboard.hpp"
#include "daemon/terminal/machine_rows.hpp"
#include "daemon/terminal/machine_view.hpp"
#include "daemon/terminal/status_layout.hpp"
#include "daemon/terminal/terminal_screen.hpp"
#include "daemon/text/display_text.hpp"

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

std::vector<styled_line> plain_lines(std::vector<std::string> const& texts) {
    std::vector<styled_line> plain;
    plain.reserve(texts.size());
    for (auto const& text : texts) {
        plain.push_back({text});
    }
    return plain;
}

/// With its keys in the last line, if there are enough lines.
std::vector<styled_line> image_screen(status_snapshot const& snapshot, std::string const& note,
                                      std::string const& trouble, terminal_size size) {
    constexpr std::size_t least_height = 12;
    constexpr std::string_view keys = "q quit  m machines";
    auto const has_keys = size.height >= least_height;
    auto const height = size.height - (has_keys ? 1 : 0);
    auto shown = plain_lines(status_screen(snapshot, note, trouble, size.width, height));
    if (has_keys) {
        shown.resize(height);
        shown.push_back({std::string(keys.substr(0, size.width)), line_style::heading});
    }
    return shown;
}

class watch {
public:
    watch(std::string const& socket, status_view first, bool json)
        : m_json(json)
        , m_view(first)
        , m_client(m_context, socket) {
        if (!json && standard_output_size() && knows_sequences()) {
            m_screen.emplace(wants_colours());
        }
    }

    int run() {
        for (auto const signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP}) {
            m_signals.add(signal);
        }
        wait_for_signal();
        if (m_screen && ::isatty(STDIN_FILENO) == 1) {
            m_no_keys = m_keyboard.start(STDIN_FILENO).map_error([](auto const& failed) { return failed.message; });
        }
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

    // --- keys

    void on_keys(std::vector<pressed_key> const& keys) {
        for (auto const& key : keys) {
            if (m_view != status_view::machines || !m_machines.on_key(key)) {
                on_common_key(key);
            }
        }
        draw();
    }

    void on_common_key(pressed_key const& key) {
        using kind = pressed_key::kind;
        if (key.what == kind::redraw) {
            m_screen->clear();
        } else if (key.what == kind::tab) {
            show_view(m_view == status_view::images ? status_view::machines : status_view::images);
        } else if (key.what == kind::character && key.character == 'i') {
            show_view(status_view::images);
        } else if (key.what == kind::character && key.character == 'm') {
            show_view(status_view::machines);
        } else if (key.what == kind::character && key.character == 'q') {
            m_context.stop();
        }
    }

    void show_view(status_view view) {
        if (view == m_view) {
            return;
        }
        m_view = view;
        if (!m_asking) { // otherwise on_answer() asks
            m_timer.cancel();
            ask();
        }
    }

    // --- the daemon

    void ask() {
        m_asking = true;
        auto const next = std::chrono::steady_clock::now() + interval;
        m_client.get(m_view == status_view::machines ? "/board" : "/status", answer_timeout,
                     [this, next, view = m_view](result<std::string> const& answer) {
                         m_asking = false;
                         auto const received = std::chrono::steady_clock::now();
                         on_answer(view, answer);
                         if (view != m_view) {
                             ask();
                             return;
                         }
                         // With very many machines, this limits the work to a quarter of the time.
                         auto const work = std::chrono::steady_clock::now() - received;
                         m_timer.expires_at(std::max(next, received + 4 * work));
                         m_timer.async_wait([this](boost::system::error_code const& ec) {
                             if (!ec) {
                                 ask();
                             }
                         });
                     });
    }

    void on_answer(status_view view, result<std::string> const& answer) {
        auto const taken = answer.and_then([this, view](std::string const& text) { return take(view, text); });
        if (!taken) {
            m_exit = exit_failed;
            m_trouble = taken.error().message;
            if (!m_screen || !(m_images || m_machines.has_machines())) { // nothing to show until the daemon returns
                end(m_trouble);
                return;
            }
            draw();
            return;
        }
        m_trouble.clear();
        if (m_json) {
            std::cout << *answer << std::flush; // the document ends with a newline
        } else if (!m_screen) {
            print_lines(view);
        }
        if (!std::cout) {
            m_exit = exit_failed;
            end("cannot write to standard output");
            return;
        }
        draw();
    }

    /// Parses and keeps the daemon's document.
    result<void> take(status_view view, std::string const& text) {
        if (view == status_view::machines) {
            auto shown = parse_board_document(text);
            if (!shown) {
                return tl::unexpected(shown.error());
            }
            m_exit = shown->failed_images.empty() ? exit_ok : exit_image_failed;
            m_machines.show(std::move(*shown));
            return {};
        }
        auto snapshot = parse_status_document(text);
        if (!snapshot) {
            return tl::unexpected(snapshot.error());
        }
        m_images = std::move(*snapshot);
        m_exit = has_failed_image(*m_images) ? exit_image_failed : exit_ok;
        return {};
    }

    void print_lines(status_view view) {
        std::cout << (std::exchange(m_first, false) ? "" : "\n");
        auto const width = standard_output_size().value_or(terminal_size{0, 0}).width;
        for (auto const& line : view == status_view::machines ? machine_table(*m_machines.machines(), width)
                                                              : status_table(*m_images, width)) {
            std::cout << line << '\n';
        }
        std::cout.flush();
    }

    // --- the screen

    /// Why what is shown is out of date, or has no keys.
    [[nodiscard]] std::string trouble(std::optional<std::chrono::system_clock::time_point> taken) const {
        if (m_trouble.empty()) {
            return m_no_keys ? "" : m_no_keys.error();
        }
        return (taken ? "showing the status of " + clock_text(*taken) + ": " : std::string()) + m_trouble;
    }

    void draw() {
        if (!m_screen || m_context.stopped()) {
            return;
        }
        auto const size = standard_output_size().value_or(terminal_size{});
        auto const now = clock_text(wall_clock_now());
        std::vector<styled_line> drawn;
        if (m_view == status_view::machines) {
            auto const& shown = m_machines.machines();
            drawn = m_machines.screen(now, trouble(shown ? std::optional(shown->taken) : std::nullopt), size.width,
                                      size.height);
        } else if (m_images) {
            drawn = image_screen(*m_images, now, trouble(m_images->taken), size);
        } else if (!m_trouble.empty()) {
            drawn = plain_lines(wrap(printable(m_trouble), size.width));
        }
        drawn.resize(std::min(drawn.size(), size.height));
        if (!m_screen->draw(drawn, size)) {
            m_exit = exit_failed;
            end({});
        }
    }

    void end(std::string reason) {
        m_end_reason = std::move(reason);
        m_context.stop();
    }

    bool const m_json;
    status_view m_view;
    boost::asio::io_context m_context{1};
    boost::asio::signal_set m_signals{m_context};
    boost::asio::steady_timer m_timer{m_context};
    keyboard m_keyboard{m_context, [this](auto const& keys) { on_keys(keys); }};
    status_client m_client;
    std::optional<terminal_screen> m_screen;
    std::optional<status_snapshot> m_images; ///< the last status
    machine_view m_machines;                 ///< with the last machines
    result<void, std::string> m_no_keys;     ///< why keys are not read
    std::string m_trouble;                   ///< why there is no newer status; empty if the status is current
    std::string m_end_reason;
    bool m_asking = false;
    bool m_first = true;
    int m_exit = exit_ok;
};

} // namespace

int watch_status(std::string const& socket, status_view first, bool json) {
    return watch(socket, first, json).run();
}

} // namespace seedbed
