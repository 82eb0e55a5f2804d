#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/peer_request.hpp>

namespace seedbed {

constexpr char msg_extended = 20; // BEP 10

/// Appends a 4-byte big-endian number, as in all messages of BitTorrent.
inline void append_number(std::vector<char>& message, std::int32_t number) {
    auto const bits = static_cast<std::uint32_t>(number);
    for (auto const shift : {24, 16, 8, 0}) {
        message.push_back(static_cast<char>(bits >> shift & 0xff));
    }
}

/// Appends that a request is refused (BEP 6), for a peer that supports the Fast Extension.
inline void append_reject(std::vector<char>& message, libtorrent::peer_request const& request) {
    constexpr char msg_reject = 16;
    message.insert(message.end(), {0, 0, 0, 13, msg_reject});
    for (auto const number : {static_cast<std::int32_t>(request.piece), request.start, request.length}) {
        append_number(message, number);
    }
}

/// The extended messages that offers need: their numbers, as a peer chose them (BEP 10; 0: not supported).
struct offer_messages {
    char dont_have = 0;      ///< BEP 54
    char upload_only = 0;    ///< of libtorrent
    bool is_no_seed = false; ///< the peer has been told that this side is not a seed

    /// Appends that this side does not have \p piece: call it only if `dont_have` is not 0. The first time, also that
    /// this side is not a seed: libtorrent disconnects a seed that has no useful piece, and tries it again after a
    /// minute.
    void append_dont_have(std::vector<char>& message, std::int32_t piece) {
        message.insert(message.end(), {0, 0, 0, 6, msg_extended, dont_have});
        append_number(message, piece);
        if (upload_only != 0 && !std::exchange(is_no_seed, true)) {
            message.insert(message.end(), {0, 0, 0, 3, msg_extended, upload_only, 0});
        }
    }

    /// Takes the numbers from an extension handshake; a later one may contain only some of them. \return whether the
    /// peer can be sent offers and has a use for them: one that downloads nothing (BEP 21) has none.
    [[nodiscard]] bool take(libtorrent::bdecode_node const& handshake) {
        using libtorrent::bdecode_node;
        auto const messages = handshake.type() == bdecode_node::dict_t ? handshake.dict_find_dict("m") : bdecode_node();
        if (!messages) {
            return false;
        }
        auto const set = [&messages](char const* name, char& number) {
            auto const wanted = messages.dict_find_int_value(name, -1);
            number = wanted < 0 ? number : wanted < 256 ? static_cast<char>(wanted) : char{0};
        };
        set("lt_donthave", dont_have);
        set("upload_only", upload_only);
        return dont_have != 0 && upload_only != 0 && handshake.dict_find_int_value("upload_only", 0) == 0;
    }
};

} // namespace seedbed
