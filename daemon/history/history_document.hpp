#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"
#include "daemon/history/deployment_record.hpp"
#include "daemon/history/history_database.hpp"
#include "daemon/http/query_string.hpp"

namespace seedbed {

/// The records as JSON, format 1, newest first, for the web page and `seedbed history`: one line, with its newline.
/// "next" is the value of history_filter::before that continues the list, or null at its end.
[[nodiscard]] std::string to_history_document(std::vector<numbered_record> const& records, std::size_t most);

/// One record as an element of such a document, without a newline.
[[nodiscard]] std::string to_json_text(deployment_record const& record);
/// The beginning of such a document, up to its first record.
[[nodiscard]] std::string json_head();

/// A part of the history, as a program receives it.
struct history_part {
    std::vector<deployment_record> records; ///< bounded, the newest first
    std::optional<std::int64_t> next;
};
/// The inverse of to_history_document(). The error is one line.
[[nodiscard]] result<history_part> parse_history_document(std::string_view text);

/// "image=win11&machine=PC-17&since=2026-01-31T12:00:00Z&failed=1&before=17&most=1000".
[[nodiscard]] std::string to_query(history_filter const& filter);
/// The inverse. The error is one line.
[[nodiscard]] result<history_filter> read_history_filter(query_string const& query);

/// The records as CSV (RFC 4180, with "\n" after each line): the line of titles, or the line of a record. A text that a
/// spreadsheet would take for a formula begins with an apostrophe: machines choose the texts.
[[nodiscard]] std::string csv_titles();
[[nodiscard]] std::string csv_line(deployment_record const& record);

/// The jobs in the file in which earlier versions kept them, one JSON object a line, the oldest first. \param skipped
/// the number of lines that do not describe an ended job.
[[nodiscard]] std::vector<deployment_record> parse_job_file(std::string_view text, std::size_t& skipped);

} // namespace seedbed
