#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "config/ip_endpoint.hpp"

namespace seedbed::test {

/// Parses "ADDRESS:PORT".
inline ip_endpoint endpoint(std::string_view text) {
    auto const parsed = parse_ip_endpoint(text);
    REQUIRE(parsed);
    return *parsed;
}

inline std::vector<ip_endpoint> endpoints(std::vector<std::string> const& texts) {
    std::vector<ip_endpoint> parsed;
    for (auto const& text : texts) {
        parsed.push_back(endpoint(text));
    }
    return parsed;
}

inline std::vector<ip_address> addresses(std::vector<std::string> const& texts) {
    std::vector<ip_address> parsed;
    for (auto const& text : texts) {
        auto const address = parse_ip_address(text);
        REQUIRE(address);
        parsed.push_back(*address);
    }
    return parsed;
}

} // namespace seedbed::test
