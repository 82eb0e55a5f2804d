#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <libtorrent/bdecode.hpp>

namespace seedbed {

/// What a peer that knows a secret says in its extension handshake (BEP 10): its number for the message with its proof,
/// and its challenge.
struct secret_offer {
    static constexpr char const* message_name = "sb_auth";
    static constexpr char const* nonce_key = "sb_nonce";
    static constexpr std::size_t nonce_bytes = 16;

    char message = 0;
    std::string nonce; ///< nonce_bytes
};

/// \return nothing unless the handshake contains both, and a message number of 1 to 255.
[[nodiscard]] inline std::optional<secret_offer> read_secret_offer(libtorrent::bdecode_node const& handshake) {
    using libtorrent::bdecode_node;
    if (handshake.type() != bdecode_node::dict_t) {
        return std::nullopt;
    }
    auto const messages = handshake.dict_find_dict("m");
    auto const number = messages ? messages.dict_find_int_value(secret_offer::message_name, 0) : 0;
    auto const nonce = handshake.dict_find_string_value(secret_offer::nonce_key);
    if (number <= 0 || number > 255 || nonce.size() != secret_offer::nonce_bytes) {
        return std::nullopt;
    }
    return secret_offer{static_cast<char>(number), std::string(nonce)};
}

} // namespace seedbed
