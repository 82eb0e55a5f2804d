#include "daemon/commands/peer_options.hpp"

#include <cstdlib>

#include <unistd.h>

#include <boost/program_options.hpp>

#include "config/value_formats.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/service/listen_port.hpp"

namespace seedbed {

namespace po = boost::program_options;

void describe_peer_options(po::options_description& description, peer_options& options, raw_peer_options& raw) {
    auto add = description.add_options();
    add("no-local-discovery", po::bool_switch(&raw.no_local_discovery), "do not look for peers by multicast");
    add("listen", po::value(&raw.listen)->value_name("ADDRESS:PORT"),
        "accept peers on this address; may be repeated (default: port 6881 of all addresses, or a free port if 6881 is "
        "taken)");
    add("secret-file", po::value(&options.secret_file)->value_name("FILE"),
        "prove to peers and servers that this machine knows the secret in FILE, which they share");
}

result<void> read_peer_options(raw_peer_options const& raw, peer_options& options) {
    options.local_discovery = !raw.no_local_discovery;
    return read_endpoints("--listen", raw.listen, options.listen);
}

result<void> read_endpoints(std::string const& name, std::vector<std::string> const& texts,
                            std::vector<ip_endpoint>& into) {
    for (auto const& text : texts) {
        auto const endpoint = parse_ip_endpoint(text);
        if (!endpoint) {
            return bad_option(name + " " + endpoint.error().message);
        }
        into.push_back(*endpoint);
    }
    return {};
}

result<void> read_time(char const* name, std::string const& text, std::optional<std::chrono::milliseconds>& into) {
    if (text.empty()) {
        return {};
    }
    auto const time = parse_duration(text);
    if (!time) {
        return bad_option(std::string(name) + " " + time.error().message);
    }
    into = *time;
    return {};
}

void apply_network(peer_options const& options, network_settings& network) {
    if (!options.listen.empty()) {
        network.listen = options.listen;
    } else if (network.listen == network_settings{}.listen) {
        network.listen = any_address(port_to_listen_on());
    }
    if (!options.secret_file.empty()) {
        network.secret_file = options.secret_file;
    }
    network.local_discovery = network.local_discovery && options.local_discovery;
}

std::string usual_state_folder() {
    if (::geteuid() == 0) {
        return "/var/lib/seedbed";
    }
    auto const* const state = std::getenv("XDG_STATE_HOME");
    if (state != nullptr && *state == '/') { // a relative one must be ignored (XDG Base Directory Specification)
        return std::string(state) + "/seedbed";
    }
    auto const* const home = std::getenv("HOME");
    return std::string(home != nullptr ? home : "") + "/.local/state/seedbed";
}

std::string state_folder_of(peer_options const& options, settings const& in_force) {
    if (!options.state.empty()) {
        return options.state;
    }
    return in_force.resume.folder.empty() ? usual_state_folder() : in_force.resume.folder;
}

} // namespace seedbed
