#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "core/foundation/error.hpp"
#include "daemon/http/query_string.hpp"

namespace seedbed {

/// What a Seedbed target says about its disk, for which BitTorrent has no word: a tracker's "completed" means that
/// every piece has been there once. It goes to the trackers that the image names, beside their announce URL as scrape
/// does (BEP 48): "GET /report?info_hash=...&port=...&state=verified&age=...&taken=...&bytes=...", with the 20 bytes of
/// the info-hash percent-encoded, the port on which the target listens for peers, times in milliseconds, and reason=...
/// of a failure.
struct host_report {
    enum class outcome_kind : std::uint8_t {
        verified, ///< flushed, read back and hashed
        durable,  ///< flushed, and not read back since the target's configuration says so
        failed
    };
    boost::asio::ip::tcp::endpoint host; ///< where it came from, and the port on which it listens for peers
    outcome_kind outcome = outcome_kind::failed;
    std::string reason;                 ///< of a failure, one line
    std::chrono::milliseconds age{0};   ///< how long ago that was: a report is repeated
    std::chrono::milliseconds taken{0}; ///< how long it took until then
    std::int64_t bytes = 0;             ///< that were fetched
};

/// For example "verified".
[[nodiscard]] char const* to_string(host_report::outcome_kind outcome) noexcept;

/// The query of \p report, from "info_hash=" on. \param info_hash 20 bytes.
[[nodiscard]] std::string to_query(host_report const& report, std::string const& info_hash);

/// Reads what to_query() has written, but for the info-hash; the reason is made printable and short.
/// \param from where it came from.
[[nodiscard]] result<host_report> read_host_report(query_string const& query, boost::asio::ip::address const& from);

/// Where reports go that belong to a tracker.
struct report_url {
    std::string host; ///< a name or a literal address without brackets
    std::string port;
    std::string path; ///< "/report"
};
/// Of an announce URL; nothing where it is not HTTP, or its path does not end with "announce".
[[nodiscard]] std::optional<report_url> report_url_of(std::string const& announce_url);

} // namespace seedbed
