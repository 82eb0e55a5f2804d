// Extension handshakes (BEP 10) of a peer, one after another, each after its length in one byte. Each is also taken as
// a proof of a secret.

#include <cstddef>
#include <cstdint>
#include <string>

#include <libtorrent/bdecode.hpp>

#include "daemon/http/shared_secret.hpp"
#include "daemon/swarm/handshake_port.hpp"
#include "daemon/swarm/offer_messages.hpp"
#include "daemon/swarm/secret_offer.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    offer_messages messages;
    shared_secret const secret("a secret of this target");
    auto const code = secret.code("message");
    while (!input.empty()) {
        std::string handshake;
        for (auto left = input.byte(); left > 0 && !input.empty(); --left) {
            handshake += static_cast<char>(input.byte());
        }
        fuzz::require(secret.proves("message", handshake) == (handshake == code));
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
        if (auto const offer = read_secret_offer(decoded)) {
            fuzz::require(offer->message != 0 && offer->nonce.size() == secret_offer::nonce_bytes);
        }
        if (messages.take(decoded)) {
            fuzz::require(messages.dont_have != 0 && messages.upload_only != 0);
        }
    }
    return 0;
}
