#include "daemon/status/reload_outcome.hpp"

#include <nlohmann/json.hpp>

namespace seedbed {

namespace {

/// The "format" of the document: incremented when a key changes its meaning or is removed.
constexpr int reload_format = 1;

} // namespace

std::string to_reload_document(reload_outcome const& outcome) {
    return nlohmann::ordered_json{
        {"format", reload_format}, {"applied", outcome.errors.empty()}, {"errors", outcome.errors}}
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

result<reload_outcome> parse_reload_document(std::string_view text) {
    auto const json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object() || !json.contains("errors") || !json["errors"].is_array()) {
        return tl::unexpected(error{"not the answer to a reload"});
    }
    reload_outcome outcome;
    for (auto const& line : json["errors"]) {
        outcome.errors.push_back(line.is_string() ? line.get<std::string>() : line.dump());
    }
    return outcome;
}

} // namespace seedbed
