#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <spdlog/fmt/fmt.h>

namespace seedbed::bench {

report::report(std::string title, std::vector<std::string> sides)
    : m_title(std::move(title))
    , m_sides(std::move(sides)) {}

void report::add(std::string const& side, figures const& run) {
    m_runs[side].push_back(run);
}

double report::median(std::string const& side, std::string const& figure) const {
    std::vector<double> values;
    auto const runs = m_runs.find(side);
    if (runs == m_runs.end()) {
        return std::nan("");
    }
    for (auto const& run : runs->second) {
        if (auto const found = run.find(figure); found != run.end()) {
            values.push_back(found->second);
        }
    }
    if (values.empty()) {
        return std::nan("");
    }
    std::ranges::sort(values);
    auto const middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<std::string> report::figure_names() const {
    std::set<std::string> names;
    for (auto const& [side, runs] : m_runs) {
        for (auto const& run : runs) {
            for (auto const& [name, value] : run) {
                names.insert(name);
            }
        }
    }
    return {names.begin(), names.end()};
}

std::string report::table() const {
    std::string text = m_title + "\n\n";
    text += fmt::format("| {:<34} |", "median");
    for (auto const& side : m_sides) {
        text += fmt::format(" {:>24} |", side);
    }
    text += "\n|" + std::string(36, '-') + "|";
    for (std::size_t i = 0; i < m_sides.size(); ++i) {
        text += std::string(25, '-') + ":|";
    }
    text += '\n';
    for (auto const& figure : figure_names()) {
        text += fmt::format("| {:<34} |", figure);
        auto const base = median(m_sides.front(), figure);
        for (auto const& side : m_sides) {
            auto const value = median(side, figure);
            auto const cell = std::isnan(value)               ? std::string("-")
                              : side == m_sides.front()       ? fmt::format("{:.2f}", value)
                              : base == 0 || std::isnan(base) ? fmt::format("{:.2f}", value)
                                                              : fmt::format("{:.2f} ({:.2f}x)", value, value / base);
            text += fmt::format(" {:>24} |", cell);
        }
        text += '\n';
    }
    for (auto const& side : m_sides) {
        auto const runs = m_runs.find(side);
        text += fmt::format("{}: {} runs\n", side, runs == m_runs.end() ? 0 : runs->second.size());
    }
    return text;
}

nlohmann::ordered_json report::json() const {
    nlohmann::ordered_json all;
    all["title"] = m_title;
    for (auto const& side : m_sides) {
        nlohmann::ordered_json one;
        for (auto const& figure : figure_names()) {
            auto const value = median(side, figure);
            if (std::isnan(value)) {
                continue;
            }
            one["median"][figure] = value;
            if (auto const base = median(m_sides.front(), figure); base != 0 && !std::isnan(base)) {
                one["ratio"][figure] = value / base;
            }
        }
        if (auto const runs = m_runs.find(side); runs != m_runs.end()) {
            one["runs"] = runs->second;
        }
        all["sides"][side] = std::move(one);
    }
    return all;
}

} // namespace seedbed::bench
