#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "config/settings.hpp"
#include "daemon/log/log_fields.hpp"

namespace seedbed {

/// Sets up the one logger of the process: structured entries to journald where standard error is the journal's (the
/// stream that JOURNAL_STREAM names, systemd.exec(5)), else lines on standard error, in colour on a terminal. What
/// journald does not take goes to standard error. Messages before the call go there without colour, from info up.
///
/// Threads: to be called once, before threads are started.
void start_logging(log_level level);

/// Takes a message: one line without a newline, an image's name in front. Called by whatever thread logs, one at a
/// time.
using log_writer = std::function<void(log_level level, std::string_view line)>;

/// The same for a program in the foreground that has a place of its own for messages: they go to \p write and nowhere
/// else. \p write must not log.
void start_logging(log_level level, log_writer write);

/// Changes the level while running. Threads: any.
void set_log_level(log_level level);

/// Writes one message of one line, at once; an image's name stands in front of it where there is one ("sda1: ...").
/// Newlines, other control characters and bytes that are no UTF-8 become '?', so that a peer's or a file's name can not
/// forge a line or drive a terminal. Device and peer are not put in the text. Threads: any.
void log(log_level level, log_fields const& fields, std::string_view message);

inline void log_error(log_fields const& fields, std::string_view message) {
    log(log_level::error, fields, message);
}
inline void log_warning(log_fields const& fields, std::string_view message) {
    log(log_level::warning, fields, message);
}
inline void log_info(log_fields const& fields, std::string_view message) {
    log(log_level::info, fields, message);
}
inline void log_debug(log_fields const& fields, std::string_view message) {
    log(log_level::debug, fields, message);
}

} // namespace seedbed
