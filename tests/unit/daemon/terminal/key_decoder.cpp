#include "daemon/terminal/key_decoder.hpp"

#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;
using kind = pressed_key::kind;
using keys = std::vector<pressed_key>;

TEST_CASE("key decoder: characters and control characters") {
    key_decoder decoder;
    CHECK(decoder.feed("a/~ \r\n\t\b\x7f\x15\x0c") == keys{{kind::character, 'a'},
                                                           {kind::character, '/'},
                                                           {kind::character, '~'},
                                                           {kind::character, ' '},
                                                           {kind::enter},
                                                           {kind::enter},
                                                           {kind::tab},
                                                           {kind::backspace},
                                                           {kind::backspace},
                                                           {kind::erase_line},
                                                           {kind::redraw}});
    CHECK(decoder.feed(std::string_view("\0\x01\x7f\xc3\xa4", 5)) == keys{{kind::backspace}});
    CHECK_FALSE(decoder.is_waiting());
}

TEST_CASE("key decoder: sequences, also in parts") {
    for (auto const& [sequence, what] : {std::pair{"\x1b[A", kind::up},
                                         {"\x1bOB", kind::down},
                                         {"\x1b[5~", kind::page_up},
                                         {"\x1b[6~", kind::page_down},
                                         {"\x1b[H", kind::home},
                                         {"\x1bOF", kind::end},
                                         {"\x1b[4~", kind::end}}) {
        INFO(sequence);
        key_decoder decoder;
        CHECK(decoder.feed(sequence) == keys{{what}});
        keys found;
        for (char const* byte = sequence; *byte != '\0'; ++byte) {
            CHECK(found.empty());
            found = decoder.feed(std::string(1, *byte));
        }
        CHECK(found == keys{{what}});
        CHECK_FALSE(decoder.is_waiting());
    }
}

TEST_CASE("key decoder: the key Escape is known when nothing follows") {
    key_decoder decoder;
    CHECK(decoder.feed("x\x1b") == keys{{kind::character, 'x'}});
    CHECK(decoder.is_waiting());
    CHECK(decoder.end_sequence() == keys{{kind::escape}});
    CHECK_FALSE(decoder.is_waiting());
    CHECK(decoder.end_sequence().empty());
    CHECK(decoder.feed("\x1b[").empty()); // the rest was lost
    CHECK(decoder.end_sequence().empty());
    CHECK(decoder.feed("A") == keys{{kind::character, 'A'}});
}

TEST_CASE("key decoder: other sequences are left out, and never grow") {
    key_decoder decoder;
    CHECK(decoder.feed("\x1b[1;5C\x1b[200~\x1b[<0;12;3M\x1bxq") == keys{{kind::character, 'q'}});
    CHECK(decoder.feed("\x1b[" + std::string(100'000, '1')).empty());
    CHECK(decoder.feed("~q") == keys{{kind::character, 'q'}});
    CHECK(decoder.feed("\x1b[1\x1b[A") == keys{{kind::up}}); // interrupted
}
