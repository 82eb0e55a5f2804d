#include "daemon/fleet/target_facts.hpp"

#include <filesystem>
#include <string_view>
#include <system_error>

#include "core/foundation/printable.hpp"

namespace seedbed {

namespace {

std::string text_parameter(char const* key, std::string_view text) {
    return text.empty() ? std::string() : std::string("&") + key + "=" + percent_encoded(text.substr(0, longest_fact));
}

std::string size_parameter(char const* key, std::int64_t bytes) {
    return bytes > 0 ? std::string("&") + key + "=" + std::to_string(bytes) : std::string();
}

std::string text_of_query(query_string const& query, std::string_view key) {
    return printable(query.find(key).value_or("").substr(0, longest_fact));
}

} // namespace

target_facts facts_of_refused(std::string const& device) {
    target_facts facts{device};
    if (std::error_code ec; std::filesystem::exists(device, ec)) {
        facts.cls = detect_storage_class(device).cls;
    }
    return facts;
}

std::string to_query(target_facts const& facts) {
    return text_parameter("device", facts.device) + text_parameter("class", facts.cls ? to_string(*facts.cls) : "") +
           text_parameter("model", facts.model) + text_parameter("disk_serial", facts.serial) +
           size_parameter("disk_bytes", facts.disk_bytes) + size_parameter("image_bytes", facts.image_bytes) +
           text_parameter("warnings", facts.warnings);
}

target_facts read_target_facts(query_string const& query) {
    target_facts facts;
    facts.device = text_of_query(query, "device");
    facts.cls = parse_storage_class(query.find("class").value_or(""));
    facts.model = text_of_query(query, "model");
    facts.serial = text_of_query(query, "disk_serial");
    facts.disk_bytes = query.number("disk_bytes").value_or(0);
    facts.image_bytes = query.number("image_bytes").value_or(0);
    facts.warnings = text_of_query(query, "warnings");
    return facts;
}

} // namespace seedbed
