#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include <boost/asio/ip/tcp.hpp>

#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "daemon/fleet/target_facts.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/http/shared_secret.hpp"

namespace seedbed {

/// A Seedbed target's report on its disk. BitTorrent has no message for that: a tracker's "completed" means only that
/// every piece was received. The report is sent to the image's trackers, beside their announce URL as scrape is (BEP
/// 48): "GET /report?info_hash=...&port=...&state=verified&age=...&taken=...&bytes=...", with the 20 bytes of the
/// info-hash percent-encoded, the port on which the target listens for peers, times in milliseconds, and reason=... for
/// a failure. Earlier versions do not know "refused", so it is sent as state=failed&refused=1, and answer
/// state=started with status 400. id=..., or job=... if the deployment is a machine's job, target_facts and receipt=...
/// are for the history and the list of machines.
struct host_report {
    enum class outcome_kind : std::uint8_t {
        verified, ///< flushed, read back and hashed
        durable,  ///< flushed; not read back, as configured on the target
        failed,
        refused, ///< by a guard of the target: nothing was written
        started  ///< no outcome yet: names the target's disk, and counts for nothing
    };
    boost::asio::ip::tcp::endpoint host; ///< the target's address, and the port on which it listens for peers
    outcome_kind outcome = outcome_kind::failed;
    std::string reason;                 ///< of a failure or a refusal, one line
    std::chrono::milliseconds age{0};   ///< of the outcome, because a report is repeated
    std::chrono::milliseconds taken{0}; ///< from the start of the deployment to its outcome
    std::int64_t bytes = 0;             ///< fetched
    std::string id = {};                ///< of the deployment, chosen by its target; empty: unknown
    bool is_job = false;                ///< the id is that of a job, whose end the machine reports, too
    bool authenticated = false;         ///< the sender has proved that it knows the secret; not sent
    target_facts facts = {};            ///< of the target
    std::string receipt = {};           ///< of an outcome, packed, see receipt_text.hpp; empty: none
};

/// For example "verified".
[[nodiscard]] char const* to_string(host_report::outcome_kind outcome) noexcept;

/// Sets the id to \p job if the deployment belongs to a job, otherwise to a random one.
void identify(host_report& report, std::string const& job);

/// The query of \p report, from "info_hash=" on.
[[nodiscard]] std::string to_query(host_report const& report, info_hash const& hash);

/// \p query with a proof that its sender knows \p secret. \param challenge from the server. \param server the address
/// at which the sender has reached it, so that no other host can use the proof for its own report.
[[nodiscard]] std::string authenticated(std::string const& query, shared_secret const& secret,
                                        std::string const& challenge, std::string const& server);
/// The challenge in a query made by authenticated() with the same secret and server address; nothing for any other
/// query.
[[nodiscard]] std::optional<std::string> proven_challenge(std::string const& query, shared_secret const& secret,
                                                          std::string const& server);

/// Parses the output of to_query(), except the info-hash; the reason is made printable and short.
/// \param from the sender's address.
[[nodiscard]] result<host_report> read_host_report(query_string const& query, boost::asio::ip::address const& from);

/// An HTTP server that takes reports, and the path on it.
struct report_target {
    std::variant<boost::asio::ip::address, std::string> host; ///< an address, or a name to be resolved
    std::uint16_t port = 0;
    std::string path; ///< "/report"

    friend bool operator==(report_target const&, report_target const&) = default;
};
/// The target for an announce URL; nothing if the URL is not HTTP or its path does not end with "/announce".
[[nodiscard]] std::optional<report_target> report_target_of(std::string const& announce_url);
/// The target for a peer's HTTP endpoint.
[[nodiscard]] report_target report_target_of(boost::asio::ip::tcp::endpoint const& peer);
/// Host and port as in a URL: "192.0.2.1:6969", "[2001:db8::1]:6969", "seed.example.org:80".
[[nodiscard]] std::string authority(report_target const& target);

} // namespace seedbed
