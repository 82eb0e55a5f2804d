// Extension handshakes (BEP 10) of a peer, one after another, each after its length in one byte.

#include <cstddef>
#include <cstdint>
#include <string>

#include <libtorrent/bdecode.hpp>

#include "daemon/swarm/handshake_port.hpp"
#include "daemon/swarm/offer_messages.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    offer_messages messages;
    while (!input.empty()) {
        std::string handshake;
        for (auto left = input.byte(); left > 0 && !input.empty(); --left) {
            handshake += static_cast<char>(input.byte());
        }
        libtorrent::error_code failed;
        auto const decoded = libtorrent::bdecode(handshake, failed);
        // libtorrent hands over what it could decode; anything else ends the connection.
        if (failed || decoded.type() != libtorrent::bdecode_node::dict_t) {
            continue;
        }
        for (auto const* const key : {"sb_report", "sb_shard", "p"}) {
            auto const port = handshake_port(decoded, key);
            fuzz::require(port == 0 || decoded.dict_find_int_value(key) == port);
        }
        if (messages.take(decoded)) {
            fuzz::require(messages.dont_have != 0 && messages.upload_only != 0);
        }
    }
    return 0;
}
