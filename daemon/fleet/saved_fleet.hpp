#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <nlohmann/json_fwd.hpp>

#include "core/foundation/error.hpp"
#include "daemon/fleet/fleet_status.hpp"

namespace seedbed {

/// A fleet's round in a form that outlives the daemon: hosts that are complete or have failed, and the round's times.
/// Hosts in progress are omitted: they announce themselves again. Times are milliseconds since 1970.
struct saved_fleet {
    struct host {
        std::vector<boost::asio::ip::address> addresses; ///< at least one
        std::uint16_t port = 0;
        host_state state = host_state::pieces; ///< complete, failed or refused
        std::int64_t bytes = 0;                ///< fetched
        std::int64_t started = 0;
        std::int64_t ended = 0;
        bool announced = false;
        std::string id;          ///< 20 bytes, or empty
        std::string key;         ///< may be empty
        std::string failure;     ///< empty unless it has failed or was refused; printable
        std::string device = {}; ///< empty if unknown; printable
        std::optional<storage_class> disk_class = {};
    };

    bool deployed = false; ///< all expected hosts were complete, and the consequences have run
    std::optional<std::int64_t> round_began;
    std::optional<std::int64_t> started;
    std::optional<std::int64_t> ended; ///< if deployed
    std::vector<host> hosts;
    std::size_t damaged = 0; ///< number of hosts that from_json() has left out

    /// A JSON document.
    [[nodiscard]] std::string text() const;
    /// \param document the parsed text, or a value of any other kind. \return the undamaged part, or an error if
    /// nothing can be used.
    [[nodiscard]] static result<saved_fleet> from_json(nlohmann::json const& document);
};

} // namespace seedbed
