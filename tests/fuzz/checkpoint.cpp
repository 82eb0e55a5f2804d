// A checkpoint's file: refused with one line, or one that survives being written and read again. Each input is read as
// it is, and once more with the checksum that it ought to have.

#include <cstddef>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "daemon/image/checkpoint.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

namespace {

void try_text(std::string const& text) {
    auto const found = parse_checkpoint(text);
    if (!found) {
        fuzz::require_line(found.error().message);
        return;
    }
    auto const again = parse_checkpoint(format_checkpoint(*found));
    fuzz::require(again.has_value() && *again == *found);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    auto const text = input.rest();
    try_text(text);
    auto document = nlohmann::json::parse(text, nullptr, false);
    if (document.is_object()) {
        auto const dump = [&document] { return document.dump(1, ' ', true, nlohmann::json::error_handler_t::replace); };
        document.erase("checksum");
        document["checksum"] = sha1_text(dump());
        try_text(dump());
    }
    return 0;
}
