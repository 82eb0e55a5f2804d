#pragma once

#include <cstdint>

#include <libtorrent/bdecode.hpp>

namespace seedbed {

/// The port that an extension handshake (BEP 10) contains under \p key; 0 if it is missing or not a port.
[[nodiscard]] inline std::uint16_t handshake_port(libtorrent::bdecode_node const& handshake, char const* key) {
    using libtorrent::bdecode_node;
    auto const port = handshake.type() == bdecode_node::dict_t ? handshake.dict_find_int_value(key) : 0;
    return port > 0 && port <= 65535 ? static_cast<std::uint16_t>(port) : std::uint16_t{0};
}

} // namespace seedbed
