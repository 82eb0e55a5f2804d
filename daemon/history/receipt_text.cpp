#include "daemon/history/receipt_text.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <zlib.h>

#include "core/foundation/printable.hpp"

namespace seedbed {

namespace {

using nlohmann::ordered_json;

/// A receipt has four: the document, its layout, the list of partitions, a partition.
constexpr int deepest_receipt = 5;

/// \p value is at most deepest_receipt deep.
void restrict_texts(ordered_json& value) {
    if (value.is_string()) {
        value = printable(std::string_view(value.get_ref<std::string const&>()).substr(0, longest_receipt_text));
    }
    if (value.is_structured()) {
        for (auto& each : value) {
            restrict_texts(each);
        }
    }
}

/// Null without it.
ordered_json member_of(ordered_json const& object, char const* key) {
    auto const at = object.is_object() ? object.find(key) : object.end();
    return at != object.end() ? *at : ordered_json();
}

bool has_sent(ordered_json const& peer) {
    auto const fetched = member_of(peer, "fetched");
    return fetched.is_number_integer() && fetched > 0;
}

} // namespace

std::string checked_receipt(std::string_view json) {
    auto const shallow = [](int depth, ordered_json::parse_event_t, ordered_json const&) {
        return depth <= deepest_receipt;
    };
    auto document = json.size() <= 2 * longest_receipt ? ordered_json::parse(json, shallow, false) : ordered_json();
    if (!member_of(document, "receipt").is_number_integer()) {
        return {};
    }
    restrict_texts(document);
    auto text = document.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
    return text.size() <= longest_receipt ? text : std::string();
}

std::string packed_receipt(std::string_view json) {
    auto size = ::compressBound(json.size());
    std::basic_string<unsigned char> bytes(size, 0);
    if (::compress2(bytes.data(), &size, reinterpret_cast<Bytef const*>(json.data()), json.size(),
                    Z_BEST_COMPRESSION) != Z_OK ||
        size > longest_packed_receipt / 4 * 3) {
        return {};
    }
    std::basic_string<unsigned char> text((size + 2) / 3 * 4 + 1, 0); // with a zero at the end
    auto const length = ::EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(size));
    return {reinterpret_cast<char const*>(text.data()), static_cast<std::size_t>(length)};
}

std::string unpacked_receipt(std::string_view packed) {
    if (packed.empty() || packed.size() > longest_packed_receipt) {
        return {};
    }
    std::basic_string<unsigned char> bytes(packed.size(), 0);
    auto const length = ::EVP_DecodeBlock(bytes.data(), reinterpret_cast<unsigned char const*>(packed.data()),
                                          static_cast<int>(packed.size()));
    std::string json(2 * longest_receipt, '\0');
    auto size = static_cast<uLongf>(json.size());
    // Zeros in place of base64's padding follow the compressed data, whose end is marked.
    if (length <= 0 ||
        ::uncompress(reinterpret_cast<Bytef*>(json.data()), &size, bytes.data(), static_cast<uLong>(length)) != Z_OK) {
        return {};
    }
    return checked_receipt(std::string_view(json).substr(0, size));
}

std::array<std::string, receipt_columns.size() + 1> columns_of_receipt(std::string_view receipt) {
    std::array<std::string, receipt_columns.size() + 1> texts;
    auto const document = ordered_json::parse(receipt, nullptr, false);
    for (std::size_t i = 0; i < receipt_columns.size(); ++i) {
        auto const& column = receipt_columns[i];
        auto const value = member_of(member_of(document, column.object), column.key);
        texts[i] = value.is_string() ? value.get<std::string>() : value.is_number() ? value.dump() : "";
    }
    if (auto const peers = member_of(document, "peers"); peers.is_array()) {
        texts.back() = std::to_string(std::ranges::count_if(peers, has_sent));
    }
    return texts;
}

} // namespace seedbed
