#include "daemon/terminal/console.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/foundation/format_count.hpp"
#include "daemon/log/logging.hpp"

namespace seedbed {

namespace {

/// Columns for the progress: the "^C" that a terminal echoes after it must not wrap, because a wrapped line would
/// remain.
int narrower(int columns) {
    return columns > 0 ? std::max(columns - 2, 1) : 0;
}

std::int64_t part_of(double fraction, std::int64_t total) {
    return static_cast<std::int64_t>(fraction * static_cast<double>(total));
}

} // namespace

console::console(progress_output output)
    : m_progress({[width = std::move(output.width)] { return narrower(width()); }, std::move(output.write),
                  std::move(output.now)}) {}

console::~console() {
    start_logging(log_level::info);
}

void console::start_log(log_level level) {
    start_logging(level, [this](log_level of, std::string_view line) { on_log(of, line); });
}

void console::on_log(log_level level, std::string_view line) {
    std::scoped_lock const lock(m_mutex);
    switch (level) {
    case log_level::error:
        m_errors.emplace_back(line);
        m_progress.print("error: " + std::string(line));
        break;
    case log_level::warning:
        m_progress.print("warning: " + std::string(line));
        break;
    default:
        m_progress.print(line);
        break;
    }
}

void console::begin_locked(std::string const& phase) {
    if (phase != m_phase) {
        m_phase = phase;
        m_progress.begin(phase);
    }
}

void console::show(image_status const& status) {
    std::scoped_lock const lock(m_mutex);
    auto const total = status.total_bytes;
    switch (status.state) {
    case image_state::checking:
    case image_state::verifying:
        begin_locked(to_string(status.state));
        m_progress.update(part_of(status.fraction, status.device_bytes()), status.device_bytes());
        break;
    case image_state::downloading:
        begin_locked(to_string(status.state));
        m_progress.update(total - status.bytes_left, total, format_count(status.peers, "peer"));
        break;
    case image_state::flushing:
        begin_locked(to_string(status.state));
        m_progress.update(status.device_written, 0);
        break;
    case image_state::seeding:
        begin_locked(to_string(status.state));
        m_progress.update(status.uploaded, 0, format_count(status.peers, "peer"));
        break;
    default:
        m_phase.clear();
        m_progress.finish();
        break;
    }
}

void console::show_reading(std::string const& what, std::int64_t done, std::int64_t total) {
    std::scoped_lock const lock(m_mutex);
    begin_locked(what);
    m_progress.update(done, total);
}

void console::print(std::string_view line) {
    std::scoped_lock const lock(m_mutex);
    m_progress.print(line);
}

void console::print_error(std::string_view line) {
    std::scoped_lock const lock(m_mutex);
    m_errors.emplace_back(line);
    m_progress.print(line);
}

void console::clear() {
    std::scoped_lock const lock(m_mutex);
    m_phase.clear();
    m_progress.finish();
}

std::vector<std::string> console::errors() const {
    std::scoped_lock const lock(m_mutex);
    return m_errors;
}

} // namespace seedbed
