#pragma once

#include <libtorrent/bdecode.hpp>

namespace seedbed {

/// The numbers of the extended messages that offers need, as a peer chose them (BEP 10); 0: not supported.
struct offer_messages {
    char dont_have = 0;   ///< BEP 54
    char upload_only = 0; ///< of libtorrent

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
