#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <syslog.h>

#include "config/settings.hpp"
#include "daemon/log/log_fields.hpp"

namespace seedbed {

/// The syslog(3) priority of \p level in the journal, which has nothing below debug.
[[nodiscard]] constexpr int journal_priority(log_level level) noexcept {
    switch (level) {
    case log_level::error:
        return LOG_ERR;
    case log_level::warning:
        return LOG_WARNING;
    case log_level::info:
        return LOG_INFO;
    case log_level::debug:
    case log_level::trace:
        break;
    }
    return LOG_DEBUG;
}

/// The fields of a journal entry as "KEY=value" (systemd.journal-fields(7)), with \p message unchanged. The values of
/// \p fields are unchanged, too, so that a search finds them; the journal's protocol carries any byte in a value.
[[nodiscard]] inline std::vector<std::string> journal_entry(log_level level, log_fields const& fields,
                                                            std::string_view message) {
    std::vector<std::string> entry;
    auto const add = [&entry](std::string_view key, std::string_view value) {
        entry.emplace_back(key).append("=").append(value);
    };
    add("MESSAGE", message);
    add("PRIORITY", std::to_string(journal_priority(level)));
    add("SYSLOG_IDENTIFIER", "seedbed");
    if (!fields.image.empty()) {
        add("SEEDBED_IMAGE", fields.image);
    }
    if (!fields.device.empty()) {
        add("SEEDBED_DEVICE", fields.device);
    }
    if (!fields.peer.empty()) {
        add("SEEDBED_PEER", fields.peer);
    }
    return entry;
}

} // namespace seedbed
