#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/key.hpp"
#include "config/table_reader.hpp"

namespace seedbed {

/// Adds the keys of one table to a list. \tparam Part generic lambda: selects the part of a Whole that has the keys as
/// members.
///
/// A Kind defines how a value is written:
///
///     std::optional<T> read(table_reader&, std::string_view key, std::filesystem::path const& folder) const;
///     key_form form() const;
///     std::string text(T const&) const; // for the manual
template <class Whole, class Part>
class key_section {
public:
    key_section(std::vector<config_key<Whole>>& keys, std::string table, Part part)
        : m_keys(keys)
        , m_table(std::move(table))
        , m_part(part) {}

    /// \param member pointer to a member of the part, or a generic lambda that returns a reference to it, or a
    /// std::tie() of several.
    /// \return the key, until the next one is added.
    template <class Member, class Kind>
    config_key<Whole>& add(std::string name, Member member, Kind kind, key_change change) {
        auto const at = [part = m_part, member](auto& whole) -> decltype(auto) {
            return std::invoke(member, part(whole));
        };
        auto& key = m_keys.emplace_back();
        key.table = m_table;
        key.name = name;
        key.form = kind.form();
        key.change = change;
        Whole const defaults{};
        if constexpr (requires { kind.text(at(defaults)); }) {
            key.preset = kind.text(at(defaults));
        }
        key.read = [at, kind, name](table_reader& table, std::filesystem::path const& folder, Whole& into) {
            if (auto value = kind.read(table, name, folder)) {
                at(into) = *std::move(value);
            }
        };
        key.equal = [at](Whole const& a, Whole const& b) { return at(a) == at(b); };
        key.copy = [at](Whole const& from, Whole& to) { at(to) = at(from); };
        return key;
    }

    /// The same for a key without a fixed default; \p preset describes the default.
    template <class Member, class Kind>
    config_key<Whole>& add(std::string name, Member member, Kind kind, key_change change, std::string const& preset) {
        auto& key = add(std::move(name), member, std::move(kind), change);
        key.preset = preset;
        key.fixed_default = false;
        return key;
    }

private:
    std::vector<config_key<Whole>>& m_keys;
    std::string m_table;
    Part m_part;
};

} // namespace seedbed
