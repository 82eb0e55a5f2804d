#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "config/ip_endpoint.hpp"
#include "config/settings.hpp"
#include "core/foundation/error.hpp"

namespace boost::program_options {
class options_description;
} // namespace boost::program_options

namespace seedbed {

/// The options of each command that takes part in a swarm.
struct peer_options {
    std::vector<ip_endpoint> listen; ///< empty: as configured
    bool local_discovery = true;
    std::string secret_file; ///< empty: as configured
    std::string state;       ///< folder of checkpoints; empty: the default
    std::string config;      ///< profiles, network and so on; empty: the defaults
};
struct raw_peer_options {
    std::vector<std::string> listen;
    bool no_local_discovery = false;
};

/// Adds --no-local-discovery, --listen and --secret-file.
void describe_peer_options(boost::program_options::options_description& description, peer_options& options,
                           raw_peer_options& raw);
/// Parses what describe_peer_options() has stored.
[[nodiscard]] result<void> read_peer_options(raw_peer_options const& raw, peer_options& options);

/// Parses the values of an option that may be repeated. \param name such as "--peer".
[[nodiscard]] result<void> read_endpoints(std::string const& name, std::vector<std::string> const& texts,
                                          std::vector<ip_endpoint>& into);
/// Parses an option that is a time into \p into, if it was given.
[[nodiscard]] result<void> read_time(char const* name, std::string const& text,
                                     std::optional<std::chrono::milliseconds>& into);

/// Applies the command line to the network settings of the configuration file.
void apply_network(peer_options const& options, network_settings& network);

/// The default folder of checkpoints: /var/lib/seedbed for root, for other users $XDG_STATE_HOME/seedbed (by default
/// ~/.local/state/seedbed).
[[nodiscard]] std::string usual_state_folder();
/// The folder that the command line names, or else the configuration, or else the usual one.
[[nodiscard]] std::string state_folder_of(peer_options const& options, settings const& in_force);

} // namespace seedbed
