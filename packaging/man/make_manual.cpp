// Makes a manual page from a template: replaces the comment lines named below with text made from the help texts, the
// key table, or the SOURCE.

#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "roff.hpp"

namespace {

using namespace seedbed;

std::string read(char const* path) {
    std::ifstream in(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    if (!in) {
        throw std::runtime_error(std::string(path) + ": cannot be read");
    }
    return text;
}

/// Replaces the line that contains \p mark. \return whether the page has one.
bool replace(std::string& page, std::string const& mark, std::string const& text) {
    auto const at = page.find("\n.\\\" " + mark + "\n");
    if (at == std::string::npos) {
        return false;
    }
    page.replace(at + 1, mark.size() + 5, text);
    return true;
}

void make(char const* from, char const* to, char const* source_file) {
    auto page = read(from);
    auto const source = source_file != nullptr ? read(source_file) : std::string();
    auto const all = subcommands();
    auto any = replace(page, "SYNOPSIS", manual::synopsis(all));
    any |= replace(page, "COMMANDS", manual::commands_section(all));
    auto const messages = manual::messages_section(source, "Messages");
    if (replace(page, "MESSAGES", messages)) {
        any = true;
        if (messages.empty()) {
            throw std::runtime_error(std::string(from) + ": the source has no messages");
        }
    }
    any |= replace(page, "KEYS", manual::keys_section(source));
    any |= replace(page, "TABLE", manual::key_table());
    if (!any) {
        throw std::runtime_error(std::string(from) + ": has no mark to replace");
    }
    std::ofstream out(to, std::ios::binary | std::ios::trunc);
    if (!(out << page) || !out.flush()) {
        throw std::runtime_error(std::string(to) + ": cannot be written");
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3 || argc > 4) {
        std::cerr << "usage: seedbed_manual TEMPLATE PAGE [SOURCE]\n";
        return 2;
    }
    try {
        make(argv[1], argv[2], argc > 3 ? argv[3] : nullptr);
    } catch (std::exception const& e) {
        std::cerr << "seedbed_manual: " << e.what() << '\n';
        return 1;
    }
    return 0;
}
