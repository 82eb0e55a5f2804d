#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace seedbed {

// Receipts of deployments (`seedbed deploy --receipt`), as machines send them to the server with the report of the end.
// The server keeps them as JSON documents. It uses only the values of receipt_columns; the rest is for people.

/// The longest receipt that is kept, in bytes.
inline constexpr std::size_t longest_receipt = 16 << 10;
/// The longest text in it, in bytes.
inline constexpr std::size_t longest_receipt_text = 300;
/// The longest packed receipt: a report with all its texts then fits into [tracker] max_request, 8 KiB by default.
inline constexpr std::size_t longest_packed_receipt = 4000;

/// The receipt in one line, with printable ASCII texts of limited length; empty if \p json is not a receipt, or too
/// long. Nesting that no receipt has is left out.
[[nodiscard]] std::string checked_receipt(std::string_view json);

/// The receipt compressed, as base64, for the query of a report; empty if it is too long.
[[nodiscard]] std::string packed_receipt(std::string_view json);
/// The inverse, checked; empty if \p packed is anything else.
[[nodiscard]] std::string unpacked_receipt(std::string_view packed);

/// Values of a receipt that have columns in CSV: those of JSON's "object": {"key": ...}.
struct receipt_column {
    char const* name;
    char const* object;
    char const* key;
};
inline constexpr std::array receipt_columns{
    receipt_column{"opening_seconds", "seconds", "opening"},
    receipt_column{"checking_seconds", "seconds", "checking"},
    receipt_column{"downloading_seconds", "seconds", "downloading"},
    receipt_column{"flushing_seconds", "seconds", "flushing"},
    receipt_column{"verifying_seconds", "seconds", "verifying"},
    receipt_column{"written_bytes", "bytes", "written"},
    receipt_column{"reused_bytes", "bytes", "reused"},
    receipt_column{"sent_bytes", "bytes", "sent"},
    receipt_column{"wwn", "device", "wwn"},
    receipt_column{"partition_table", "layout", "table"},
};

/// The text of each column, in their order, and last the number of peers that have sent something; empty if unknown.
[[nodiscard]] std::array<std::string, receipt_columns.size() + 1> columns_of_receipt(std::string_view receipt);

} // namespace seedbed
