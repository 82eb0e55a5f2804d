#include "daemon/log/logging.hpp"

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <spdlog/logger.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/base_sink.h>

// Otherwise sd_journal_sendv is a macro that adds the location of its only call to each entry.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "core/foundation/wall_clock.hpp"
#include "daemon/log/journal_entry.hpp"

namespace seedbed {

namespace {

constexpr char const* journal_socket = "/run/systemd/journal/socket";
constexpr char const* line_pattern = "%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %v";

struct log_call {
    log_level level;
    log_fields const& fields;
};

/// The arguments of log(), for the sink: spdlog's messages have no fields. The logger is synchronous, so a sink runs
/// within the call, on the thread that logs. A pointer per thread therefore needs neither a lock nor a copy, and stays
/// valid while the sink uses it.
thread_local log_call const* current_call = nullptr;

class scoped_call {
public:
    explicit scoped_call(log_call const& call) noexcept
        : m_outer(std::exchange(current_call, &call)) {}
    scoped_call(scoped_call const&) = delete;
    scoped_call& operator=(scoped_call const&) = delete;
    ~scoped_call() { current_call = m_outer; }

private:
    log_call const* m_outer;
};

void write_to_stderr(std::string_view text) noexcept {
    while (!text.empty()) {
        auto const written = ::write(STDERR_FILENO, text.data(), text.size());
        if (written > 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (written == 0 || errno != EINTR) {
            return; // there is no other place to report it
        }
    }
}

[[nodiscard]] bool send_to_journal(std::vector<std::string>& entry) {
    // sd_journal_sendv reports success if the socket does not exist (ENOENT), as in a container without a journal.
    if (::access(journal_socket, F_OK) != 0) {
        return false;
    }
    std::vector<iovec> parts;
    parts.reserve(entry.size());
    for (auto& field : entry) {
        parts.push_back({field.data(), field.size()});
    }
    return sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) >= 0;
}

/// Writes structured entries to journald. An entry that journald does not accept is written to standard error, prefixed
/// with its level as in sd-daemon(3).
///
/// Threads: any; base_sink's lock keeps the lines on standard error whole.
class journal_sink final : public spdlog::sinks::base_sink<std::mutex> {
protected:
    void sink_it_(spdlog::details::log_msg const& message) override {
        std::string_view const text{message.payload.data(), message.payload.size()};
        auto const& call = *current_call; // only log() uses the logger
        auto entry = journal_entry(call.level, call.fields, text);
        if (!send_to_journal(entry)) {
            std::string line = "<";
            line.append(std::to_string(journal_priority(call.level))).append(">").append(text).append("\n");
            write_to_stderr(line);
        }
    }
    void flush_() override {} // nothing is buffered
};

class function_sink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit function_sink(log_writer write)
        : m_write(std::move(write)) {}

protected:
    void sink_it_(spdlog::details::log_msg const& message) override {
        m_write(current_call->level, {message.payload.data(), message.payload.size()});
    }
    void flush_() override {} // nothing is buffered

private:
    log_writer const m_write;
};

[[nodiscard]] std::shared_ptr<spdlog::sinks::sink> make_stderr_sink(spdlog::color_mode colour) {
    auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(colour);
    sink->set_pattern(line_pattern);
    return sink;
}

/// Whether JOURNAL_STREAM, "DEVICE:INODE" in decimal, refers to standard error. The variable may be inherited from a
/// service that gave its child another standard error.
[[nodiscard]] bool stderr_is_journal() noexcept {
    auto const* const variable = std::getenv("JOURNAL_STREAM"); // NOLINT(concurrency-mt-unsafe): no threads yet
    struct stat file {};
    if (variable == nullptr || ::fstat(STDERR_FILENO, &file) != 0) {
        return false;
    }
    std::string_view const text = variable;
    auto const* const end = text.data() + text.size();
    dev_t device = 0;
    ino_t inode = 0;
    auto const first = std::from_chars(text.data(), end, device);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != ':') {
        return false;
    }
    auto const second = std::from_chars(first.ptr + 1, end, inode);
    return second.ec == std::errc{} && second.ptr == end && device == file.st_dev && inode == file.st_ino;
}

/// The logger of the process. Until start_logging(), it writes plain lines to standard error, from level info up. It is
/// never destroyed, because threads may log while the process exits.
[[nodiscard]] spdlog::logger& the_logger() {
    static auto& logger = *[] {
        auto* const made = new spdlog::logger("seedbed", make_stderr_sink(spdlog::color_mode::never));
        made->set_level(spdlog::level::info);
        made->flush_on(spdlog::level::trace); // each line
        return made;
    }();
    return logger;
}

[[nodiscard]] constexpr spdlog::level::level_enum to_spdlog(log_level level) noexcept {
    switch (level) {
    case log_level::error:
        return spdlog::level::err;
    case log_level::warning:
        return spdlog::level::warn;
    case log_level::info:
        return spdlog::level::info;
    case log_level::debug:
        return spdlog::level::debug;
    case log_level::trace:
        break;
    }
    return spdlog::level::trace;
}

/// The length in bytes of the first character of \p text, which must not be empty; 0 if that is a control character
/// (C0, DEL or C1) or not well-formed UTF-8 (RFC 3629, section 4).
[[nodiscard]] std::size_t character_length(std::string_view text) noexcept {
    auto const in = [text](std::size_t index, unsigned low, unsigned high) {
        return index < text.size() && static_cast<unsigned char>(text[index]) >= low &&
               static_cast<unsigned char>(text[index]) <= high;
    };
    auto const lead = static_cast<unsigned char>(text.front());
    if (lead < 0x80) {
        return lead >= 0x20 && lead != 0x7f ? 1 : 0;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        return in(1, lead == 0xc2 ? 0xa0 : 0x80, 0xbf) ? 2 : 0; // C2 80 to C2 9F are C1
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        return in(1, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf) && in(2, 0x80, 0xbf) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        return in(1, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf) && in(2, 0x80, 0xbf) && in(3, 0x80, 0xbf)
                   ? 4
                   : 0;
    }
    return 0;
}

void append_cleaned(std::string& line, std::string_view text) {
    while (!text.empty()) {
        auto const length = character_length(text);
        if (length == 0) {
            line += '?';
            text.remove_prefix(1);
        } else {
            line.append(text.substr(0, length));
            text.remove_prefix(length);
        }
    }
}

} // namespace

void start_logging(log_level level) {
    auto& logger = the_logger();
    logger.sinks() = {stderr_is_journal() ? std::make_shared<journal_sink>()
                                          : make_stderr_sink(spdlog::color_mode::automatic)};
    logger.set_level(to_spdlog(level));
}

void start_logging(log_level level, log_writer write) {
    auto& logger = the_logger();
    logger.sinks() = {std::make_shared<function_sink>(std::move(write))};
    logger.set_level(to_spdlog(level));
}

void set_log_level(log_level level) {
    the_logger().set_level(to_spdlog(level));
}

void log(log_level level, log_fields const& fields, std::string_view message) {
    auto& logger = the_logger();
    if (!logger.should_log(to_spdlog(level))) {
        return;
    }
    std::string line;
    line.reserve(fields.image.size() + message.size() + 2);
    if (!fields.image.empty()) {
        append_cleaned(line, fields.image);
        line += ": ";
    }
    append_cleaned(line, message);
    log_call const call{level, fields};
    scoped_call const scope(call);
    logger.log(wall_clock_now(), {}, to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

} // namespace seedbed
