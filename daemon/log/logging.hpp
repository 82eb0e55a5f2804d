#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "config/settings.hpp"
#include "daemon/log/log_fields.hpp"

namespace seedbed {

/// Sets up the only logger of the process: structured entries to journald if standard error is connected to the journal
/// (the stream that JOURNAL_STREAM names, systemd.exec(5)), otherwise lines on standard error, in colour on a terminal.
/// Entries that journald does not accept go to standard error. Messages before this call go there without colour, from
/// level info up.
///
/// Threads: must be called once, before threads are started.
void start_logging(log_level level);

/// Receives a message: one line without a newline, prefixed with the image's name. Called on the logging thread, one
/// call at a time.
using log_writer = std::function<void(log_level level, std::string_view line)>;

/// The same for a foreground program that shows messages itself: they go only to \p write, which must not log.
void start_logging(log_level level, log_writer write);

/// Changes the level while running. Threads: any.
void set_log_level(log_level level);

/// Writes one message of one line, immediately; if an image is given, its name comes first ("sda1: ..."). Newlines,
/// other control characters and invalid UTF-8 become '?', so that a name from a peer or a file cannot forge a line or
/// control a terminal. Device and peer are not part of the text. Threads: any.
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
