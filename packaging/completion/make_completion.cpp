// Makes the completion of bash or zsh from the tables of commands and options.

#include <algorithm>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/commands/command_line.hpp"

namespace {

using namespace seedbed;

/// "-o, --output" -> "-o", "--output"
std::vector<std::string> names_of(option_help const& option) {
    auto const comma = option.name.find(", ");
    if (comma == std::string::npos) {
        return {option.name};
    }
    return {option.name.substr(0, comma), option.name.substr(comma + 2)};
}

bool is_file(option_help const& option) {
    return option.argument == "FILE" || option.argument == "PATH" || option.argument == "DEVICE";
}

/// What follows an option: 'f' a file, 'd' a folder, 'x' any other value, ' ' nothing.
char kind_of(option_help const& option) {
    if (option.argument.empty()) {
        return ' ';
    }
    return is_file(option) ? 'f' : option.argument == "DIR" ? 'd' : 'x';
}

/// The actions of a command, from its usage: "list" of "list [--json]". Operands are in capitals.
std::string actions_of(command_help const& help) {
    std::string actions;
    for (auto const& usage : help.usage) {
        auto const word = usage.substr(0, usage.find(' '));
        if (std::ranges::all_of(word, [](char c) { return c >= 'a' && c <= 'z'; })) {
            actions += (actions.empty() ? "" : " ") + word;
        }
    }
    return actions;
}

/// The options of a command whose argument is of one kind, as a pattern of bash's case.
std::string pattern_of(command_help const& help, char kind) {
    std::string pattern;
    for (auto const& option : help.options) {
        for (auto const& name : names_of(option)) {
            if (kind_of(option) == kind) {
                pattern += (pattern.empty() ? "" : " | ") + help.name + ":" + name;
            }
        }
    }
    return pattern;
}

std::string bash(std::vector<subcommand> const& all) {
    std::string commands = "help";
    std::string words;
    std::string patterns;
    std::string actions;
    for (auto const& [summary, help] : all) {
        commands += " " + help.name;
        std::string names;
        for (auto const& option : help.options) {
            for (auto const& name : names_of(option)) {
                names += (names.empty() ? "" : " ") + name;
            }
        }
        if (auto const found = actions_of(help); !found.empty()) {
            actions += "        2:" + help.name + ":*)\n            mapfile -t COMPREPLY < <(compgen -W '" + found +
                       "' -- \"$current\")\n            return\n            ;;\n";
        }
        words += "        " + help.name + ") words='" + names + "' ;;\n";
        for (auto const& [kind, reply] : {std::pair{'f', "compgen -f"}, {'d', "compgen -d"}, {'x', ":"}}) {
            if (auto const pattern = pattern_of(help, kind); !pattern.empty()) {
                patterns += "        " + pattern + ")\n            mapfile -t COMPREPLY < <(" + reply +
                            (kind == 'x' ? "" : " -- \"$current\"") + ")\n            return\n            ;;\n";
            }
        }
    }
    return "# bash completion of seedbed(1)\n"
           "_seedbed() {\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} words=\n"
           "    compopt -o filenames\n"
           "    if ((COMP_CWORD == 1)) || [[ ${COMP_WORDS[1]} == help ]]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -W '" +
           commands +
           "' -- \"$current\")\n"
           "        return\n"
           "    fi\n"
           "    case $COMP_CWORD:${COMP_WORDS[1]}:$current in\n"
           "        2:*:-*) ;; # an option\n" +
           actions +
           "    esac\n"
           "    case ${COMP_WORDS[1]}:${COMP_WORDS[COMP_CWORD - 1]} in\n" +
           patterns +
           "    esac\n"
           "    case ${COMP_WORDS[1]} in\n" +
           words +
           "    esac\n"
           "    if [[ $current == -* ]]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
           "    else\n"
           "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
           "    fi\n"
           "}\n"
           "complete -F _seedbed seedbed\n";
}

/// For a specification of zsh's _arguments in single quotes.
std::string escaped(std::string_view text) {
    std::string made;
    for (auto const c : text) {
        if (c == '\'') {
            made += "'\\''";
        } else {
            made += c == '[' || c == ']' || c == ':' || c == '\\' ? std::string{'\\', c} : std::string{c};
        }
    }
    return made;
}

std::string zsh(std::vector<subcommand> const& all) {
    std::string commands;
    std::string cases;
    for (auto const& [summary, help] : all) {
        commands += "    '" + help.name + ":" + escaped(summary) + "'\n";
        cases += "  " + help.name + ") _arguments -S";
        for (auto const& option : help.options) {
            for (auto const& name : names_of(option)) {
                cases += " \\\n    '*" + name + "[" + escaped(option.text) + "]";
                if (kind_of(option) != ' ') {
                    cases += ":" + escaped(option.argument) + ":";
                    cases += kind_of(option) == 'f' ? "_files" : kind_of(option) == 'd' ? "_files -/" : "";
                }
                cases += "'";
            }
        }
        if (auto const actions = actions_of(help); !actions.empty()) {
            cases += " \\\n    '1:action:(" + actions + ")'";
        }
        cases += " \\\n    '*:file:_files' ;;\n";
    }
    return "#compdef seedbed\n"
           "local -a commands=(\n" +
           commands +
           "    'help:show the options of a command'\n"
           ")\n"
           "if ((CURRENT == 2)) || [[ $words[2] == help ]]; then\n"
           "  _describe command commands\n"
           "  return\n"
           "fi\n"
           "local command=$words[2]\n"
           "shift words\n"
           "((CURRENT--))\n"
           "case $command in\n" +
           cases + "esac\n";
}

} // namespace

int main(int argc, char** argv) {
    std::string_view const shell = argc == 3 ? argv[1] : "";
    if (shell != "bash" && shell != "zsh") {
        std::cerr << "usage: seedbed_completion bash|zsh FILE\n";
        return 2;
    }
    std::ofstream out(argv[2], std::ios::binary | std::ios::trunc);
    if (!(out << (shell == "bash" ? bash(subcommands()) : zsh(subcommands()))) || !out.flush()) {
        std::cerr << "seedbed_completion: " << argv[2] << ": cannot be written\n";
        return 1;
    }
    return 0;
}
