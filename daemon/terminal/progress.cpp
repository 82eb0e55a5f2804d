#include "daemon/terminal/progress.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/foundation/printable.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

constexpr int usual_columns = 80; ///< if the terminal does not report its width
constexpr int least_bar = 10;     ///< columns, including its brackets
constexpr int most_bar = 42;
constexpr double most_seconds_left = 100 * 3600; ///< a longer time is an estimate from next to nothing
constexpr char const* redraw_line = "\r\x1b[K";

int terminal_columns() {
    ::winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual_columns;
}

/// Ignores a failure: there is nowhere to report it.
void write_standard_error(std::string_view text) {
    while (!text.empty()) {
        auto const written = ::write(STDERR_FILENO, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return;
        }
        text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
}

std::string bar(double fraction, int columns) {
    auto const room = columns - 2;
    auto const full = std::clamp(static_cast<int>(fraction * room), 0, room);
    std::string text(static_cast<std::size_t>(full), '=');
    if (full < room) {
        text += '>';
    }
    text.resize(static_cast<std::size_t>(room), ' ');
    return '[' + text + ']';
}

double seconds_of(progress_output::clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

} // namespace

progress_output standard_error_output() {
    auto const* const term = std::getenv("TERM");
    bool const terminal = ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
    return {terminal ? terminal_columns : [] { return 0; }, write_standard_error, progress_output::clock::now};
}

progress_display::progress_display(progress_output output)
    : m_output(std::move(output)) {}

progress_display::~progress_display() {
    clear();
}

void progress_display::begin(std::string_view name) {
    finish();
    m_name = printable(name);
    m_extra.clear();
    m_done = 0;
    m_total = 0;
    m_first = 0;
    m_started = false;
    m_recent_bytes = 0;
    m_recent_seconds = 0;
    m_begin = m_output.now();
    m_counted = m_begin;
    // Draw at once on a terminal; elsewhere a first line without progress would be useless.
    m_drawn = m_output.width() > 0 ? m_begin - draw_interval : m_begin;
}

void progress_display::update(std::int64_t done, std::int64_t total, std::string_view extra) {
    auto const now = m_output.now();
    auto const before = std::exchange(m_done, done);
    m_total = total;
    m_extra = printable(extra);
    if (!m_started) {
        m_started = true;
        m_first = done;
    } else {
        auto const passed = seconds_of(now - m_counted);
        auto const kept = std::exp(-passed / seconds_of(rate_window));
        // The number of bytes done may decrease when a piece has to be downloaded again; do not count that as a rate.
        m_recent_bytes = m_recent_bytes * kept + static_cast<double>(std::max<std::int64_t>(done - before, 0));
        m_recent_seconds = m_recent_seconds * kept + passed;
    }
    m_counted = now;
    draw();
}

std::string progress_display::summary(std::string_view verb) const {
    auto const bytes = std::max<std::int64_t>(m_done - m_first, 0);
    auto const seconds = seconds_of(m_output.now() - m_begin);
    return fmt::format("{} {} in {} ({})", verb, format_byte_size(bytes), format_duration(seconds),
                       format_rate(bytes, seconds));
}

void progress_display::finish(std::string_view line) {
    clear();
    m_name.clear();
    if (!line.empty()) {
        m_output.write(std::string(line) + '\n');
    }
}

void progress_display::print(std::string_view line) {
    auto const shown = m_shown;
    clear();
    m_output.write(std::string(line) + '\n');
    if (shown) {
        m_drawn -= draw_interval;
        draw();
    }
}

void progress_display::draw() {
    auto const now = m_output.now();
    auto const columns = m_output.width();
    if (m_name.empty() || now - m_drawn < (columns > 0 ? clock::duration(draw_interval) : line_interval)) {
        return;
    }
    m_drawn = now;
    if (columns > 0) {
        m_shown = true;
        m_output.write(redraw_line + bar_line(columns));
    } else {
        m_output.write(plain_line() + '\n');
    }
}

void progress_display::clear() {
    if (std::exchange(m_shown, false)) {
        m_output.write(redraw_line);
    }
}

std::string progress_display::bar_line(int columns) const {
    struct field {
        std::string text;
        int rank; ///< the highest is dropped first
        bool is_bar = false;
    };
    std::vector<field> fields{{m_name, 0}};
    if (m_total > 0) {
        fields.push_back({fmt::format("{:>4}", format_percent(fraction())), 1});
        fields.push_back({"", 4, true});
    }
    fields.push_back({format_progress_bytes(m_done, m_total), 6});
    fields.push_back({fmt::format("{:>10}", rate_text()), 2});
    if (m_total > 0) {
        fields.push_back({fmt::format("{:>10}", left_text()), 3});
    }
    if (!m_extra.empty()) {
        fields.push_back({" " + m_extra, 5});
    }

    // Omit the last column: some terminals wrap after writing there.
    auto const room = columns - 1;
    auto const width_without_bar = [&] {
        auto width = static_cast<int>(fields.size()) - 1;
        for (auto const& f : fields) {
            width += static_cast<int>(f.text.size());
        }
        return width;
    };
    auto const least_width = [&] {
        return width_without_bar() + (std::ranges::any_of(fields, &field::is_bar) ? least_bar : 0);
    };
    while (fields.size() > 1 && least_width() > room) {
        fields.erase(std::ranges::max_element(fields, {}, &field::rank));
    }

    auto const bar_columns = std::min(room - width_without_bar(), most_bar);
    std::string line;
    for (auto const& f : fields) {
        line += line.empty() ? "" : " ";
        line += f.is_bar ? bar(fraction(), bar_columns) : f.text;
    }
    line.resize(std::min(line.size(), static_cast<std::size_t>(std::max(room, 0))));
    return line;
}

std::string progress_display::plain_line() const {
    auto line = m_name + ": ";
    if (m_total > 0) {
        line += format_percent(fraction()) + ", ";
    }
    line += format_progress_bytes(m_done, m_total) + ", " + rate_text();
    if (m_total > 0) {
        line += ", " + left_text();
    }
    return m_extra.empty() ? line : line + ", " + m_extra;
}

double progress_display::fraction() const {
    return m_total > 0 ? static_cast<double>(m_done) / static_cast<double>(m_total) : 0;
}

double progress_display::rate() const {
    return m_recent_seconds > 0 ? m_recent_bytes / m_recent_seconds : 0;
}

std::string progress_display::rate_text() const {
    return format_rate(std::llround(rate()));
}

std::string progress_display::left_text() const {
    if (m_done >= m_total) {
        return format_duration(0.0) + " left";
    }
    auto const seconds = std::ceil(static_cast<double>(m_total - m_done) / rate()); // infinite if nothing moves
    return (seconds < most_seconds_left ? format_duration(seconds) : "-") + " left";
}

std::string format_progress_bytes(std::int64_t done, std::int64_t total) {
    if (total <= 0) {
        return format_byte_size(done);
    }
    constexpr std::array names{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (unit + 1 < names.size() && total >> (10 * (unit + 1)) > 0) {
        ++unit;
    }
    auto const scale = static_cast<double>(std::int64_t{1} << (10 * unit));
    auto const number = [&](std::int64_t bytes) {
        return fmt::format("{:.{}f}", static_cast<double>(bytes) / scale, unit == 0 ? 0 : 1);
    };
    auto const of = number(total);
    return fmt::format("{:>{}}/{} {}", number(done), of.size(), of, names[unit]);
}

} // namespace seedbed
